"""Characters that ``nano`` can read and write: the source of its tokenizer and of its training labels."""

from __future__ import annotations

ASCII = "".join(chr(c) for c in range(32, 127))
LATIN = "".join(chr(c) for c in range(0xC0, 0x100) if chr(c) not in "×÷") + "ŒœŠšŽžŸ"
CENTRAL = "ĄąĆćĘęŁłŃńŚśŹźŻżČčĎďĚěŇňŘřŤťŮůŐőŰűĞğİıŞşĂăȘșȚț"
SIGNS = "€£¥¢§°·–—‘’“”„…•™©®×÷±²³½¼¾µ«»¡¿ªº¶†‰→←↑↓≤≥≈≠−∞√Ωμπ✓☐☑■□●○▲▼\n"

#: Every character with an id of its own, in id order, without repetition.
ALPHABET: str = "".join(dict.fromkeys(ASCII + LATIN + CENTRAL + SIGNS))
SPECIAL_TOKENS: tuple[str, ...] = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|query|>",
    "<|assistant|>",
    "<|system|>",
)
