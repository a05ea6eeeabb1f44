"""Office documents to PDF through a headless LibreOffice, where it is installed.

One conversion at a time, each with a profile of its own in a private folder, a short environment, limits on
time and memory, links and macros off, and no network where the system allows to take it away.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra_rag.errors import FileError
from hydra_rag_indexing.files.conversions import Conversion
from hydra_rag_indexing.files.kinds import Kind
from hydra_rag_indexing.files.limits import Limits
from hydra_rag_indexing.files.office_scan import scan_office

__all__ = ["converted", "soffice"]

_SUFFIXES = {
    "application/rtf": ".rtf",
    "application/msword": ".doc",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.graphics": ".odg",
}
_ONE_AT_A_TIME = threading.Lock()

#: Runs in the child before LibreOffice: limits, then no network (best effort), then exec.
_BOOT = """
import ctypes, json, os, resource, sys
memory, size, command = json.loads(sys.argv[1])
for name, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, size), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(name, (value, value))
try:
    libc = ctypes.CDLL(None, use_errno=True)
    ids = (("setgroups", "deny"), ("uid_map", f"{os.getuid()} {os.getuid()} 1"),
           ("gid_map", f"{os.getgid()} {os.getgid()} 1"))
    if libc.unshare(0x40000000) != 0 and libc.unshare(0x40000000 | 0x10000000) == 0:
        for name, text in ids:
            with open("/proc/self/" + name, "w") as file:
                file.write(text)
except (OSError, AttributeError):
    pass
os.execv(command[0], command)
"""

_SETTING = (
    '<item oor:path="/org.openoffice.{0}"><prop oor:name="{1}" oor:op="fuse"><value>{2}</value></prop></item>'
)
_SETTINGS = (
    ("Office.Writer/Content/Update", "Link", "2"),
    ("Office.Calc/Content/Update", "Link", "2"),
    ("Office.Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Office.Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Office.Common/Security/Scripting", "DisableActiveContent", "true"),
    ("Office.Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Office.Common/Save/Document", "AutoSave", "false"),
)


def soffice() -> str | None:
    """The LibreOffice program, ``None`` where it is not installed."""
    return next((found for name in ("soffice", "libreoffice") if (found := shutil.which(name))), None)


@contextmanager
def converted(path: Path, kind: Kind, limits: Limits, kept: Conversion | None = None) -> Iterator[Path]:
    """A PDF of the document in a private folder that is removed afterwards. Raises ``FileError``.

    ``kept``: where the PDF is kept from one time to the next.
    """
    with tempfile.TemporaryDirectory(prefix="hydra-rag-office-", ignore_cleanup_errors=True) as folder:
        target = Path(folder, "out", "document.pdf")
        if kept is None or not kept.take(target):
            # Who waited for another conversion may have waited for this very document's.
            with _ONE_AT_A_TIME:
                if kept is None or not kept.take(target):
                    _convert(path, kind, limits, Path(folder), target)
                    if kept is not None:
                        kept.keep(target)
        yield target


def _convert(path: Path, kind: Kind, limits: Limits, home: Path, target: Path) -> None:
    program = soffice()
    if program is None:
        raise FileError(
            f"{path.name} needs LibreOffice, which is not installed; install it or export the file as PDF",
            code="unsupported",
        )
    scan_office(path, kind.media_type, limits)
    source = home / f"document{_SUFFIXES.get(kind.media_type.removesuffix('-template'), path.suffix.lower())}"
    try:
        shutil.copyfile(path, source)
    except OSError as error:
        raise FileError(
            f"{path.name} can't be copied ({error.strerror}); check permissions and free disk space",
            code="unreadable",
        ) from None
    _write_profile(home / "profile")
    _run(program, source, home, limits, path.name)
    if not target.is_file():
        raise FileError(
            f"LibreOffice can't read {path.name} (damaged, or protected by a password); export it as PDF",
            code="broken",
        )


def _write_profile(profile: Path) -> None:
    items = "".join(_SETTING.format(*setting) for setting in _SETTINGS)
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry">'
        f"{items}</oor:items>",
        encoding="utf-8",
    )


def _run(program: str, source: Path, home: Path, limits: Limits, name: str) -> None:
    command = [
        program, "--headless", "--invisible", "--nologo", "--nodefault", "--norestore", "--nolockcheck",
        "--nofirststartwizard", f"-env:UserInstallation={(home / 'profile').as_uri()}",
        "--convert-to", "pdf", "--outdir", str(home / "out"), str(source),
    ]  # fmt: skip
    order = json.dumps([limits.office_memory_bytes, 4 * limits.archive_bytes, command])
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT, order],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env={
            "PATH": os.defpath,
            "HOME": str(home),
            "TMPDIR": str(home),
            "LANG": "C.UTF-8",
            "SAL_USE_VCLPLUGIN": "svp",
        },
        start_new_session=True,
    )
    try:
        process.wait(limits.office_seconds)
    except subprocess.TimeoutExpired:
        raise FileError(
            f"LibreOffice took more than {limits.office_seconds:g} s for {name}; "
            "export it as PDF or raise the limit",
            code="timeout",
        ) from None
    finally:
        # LibreOffice leaves children behind; the session is ours, so all of it ends here.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
