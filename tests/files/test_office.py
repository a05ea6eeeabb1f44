"""Office documents: converted by LibreOffice where it is installed, refused with advice where it is not."""

from __future__ import annotations

import io
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image

from hydra_rag.errors import FileError
from hydra_rag_indexing.files import Limits, load_pages, office, probe, render_region
from tests.files.makers import encode

needs_office = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DOCX = {
    "[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="r1" Type="{REL}/officeDocument" Target="word/document.xml"/></Relationships>',
}


def docx(*paragraphs: str, relations: str = "") -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    members = {
        **DOCX,
        "word/document.xml": f'<?xml version="1.0"?><w:document {W}><w:body>{body}</w:body></w:document>',
    }
    if relations:
        members["word/_rels/document.xml.rels"] = (
            '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f"{relations}</Relationships>"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def relation(kind: str, target: str) -> str:
    return f'<Relationship Id="r9" Type="{REL}/{kind}" Target="{target}" TargetMode="External"/>'


def code_of(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(FileError) as caught:
        list(load_pages(path, limits=limits))
    return caught.value.code


def test_without_libreoffice_there_is_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.shutil, "which", lambda name: None)
    path = tmp_path / "letter.docx"
    path.write_bytes(docx("Hello"))
    with pytest.raises(FileError) as caught:
        list(load_pages(path))
    assert caught.value.code == "unsupported"
    assert "LibreOffice" in caught.value.message
    assert probe(path).pages is None


@needs_office
def test_document_becomes_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(office.tempfile, "tempdir", str(scratch))
    path = tmp_path / "letter.docx"
    path.write_bytes(
        docx("Hello from the office", "Second line", relations=relation("hyperlink", "http://example.org"))
    )
    (page,) = load_pages(path, ocr="never")
    assert [word.text for word in page.words] == ["Hello", "from", "the", "office", "Second", "line"]
    assert page.text_source == "layer"
    box = page.words[0].box
    assert render_region(path, 1, box, 2.0).size == (box.width * 2, box.height * 2)
    assert not list(scratch.iterdir())


@needs_office
def test_time_limit_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "letter.docx"
    path.write_bytes(docx("Hello"))
    assert code_of(path, Limits(office_seconds=0.05)) == "timeout"
    data = docx("Hello")
    path.write_bytes(data[: len(data) // 2])
    assert code_of(path) == "broken"


@pytest.mark.parametrize("kind", ["image", "oleObject", "frame", "subDocument", "aFChunk"])
def test_documents_that_link_out_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "letter.docx"
    path.write_bytes(docx("Hello", relations=relation(kind, "file:///etc/hostname")))
    with pytest.raises(FileError) as caught:
        list(load_pages(path))
    assert caught.value.code == "unsupported"
    assert "embed" in caught.value.message or "LibreOffice" in caught.value.message


@needs_office
def test_conversion_reaches_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the look into the file is passed by, LibreOffice has no way to the canary."""
    asked: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(encode(Image.new("RGB", (9, 9), "red"), "PNG"))

        do_HEAD = do_OPTIONS = do_PROPFIND = do_GET

        def log_message(self, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Canary)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        monkeypatch.setattr(office, "scan_office", lambda *args: None)
        link = f"http://127.0.0.1:{server.server_port}/canary.png"
        namespaces = (
            'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
            'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
            'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
            'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" '
            'xmlns:xlink="http://www.w3.org/1999/xlink"'
        )
        content = (
            f'<?xml version="1.0"?><office:document-content {namespaces} office:version="1.2">'
            "<office:body><office:text>"
            f'<text:p>Before<draw:frame svg:width="3cm" svg:height="3cm"><draw:image xlink:href="{link}" '
            'xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/></draw:frame></text:p>'
            "</office:text></office:body></office:document-content>"
        )
        manifest = (
            '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:'
            'manifest:1.0"><manifest:file-entry manifest:full-path="/" '
            'manifest:media-type="application/vnd.oasis.opendocument.text"/>'
            '<manifest:file-entry manifest:full-path="content.xml" '
            'manifest:media-type="text/xml"/></manifest:manifest>'
        )
        path = tmp_path / "canary.odt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
            archive.writestr("content.xml", content)
            archive.writestr("META-INF/manifest.xml", manifest)
        (page,) = load_pages(path, ocr="never")
        assert "Before" in page.text
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == []
