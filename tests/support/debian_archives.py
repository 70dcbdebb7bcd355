"""Debian packages, built byte by byte."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path


def deb(folder: Path, files: dict[str, str]) -> Path:
    """Build a package in the format of deb(5). A text that begins with "->" is a link."""
    parts = {"debian-binary": b"2.0\n"}
    control = {"./control": "Package: libshop1\nVersion: 1-2\n"}
    for name, members in (("control.tar.xz", control), ("data.tar.xz", files)):
        with io.BytesIO() as buffer:
            with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
                for path, text in members.items():
                    member = tarfile.TarInfo(path)
                    if text.startswith("->"):
                        member.type, member.linkname = tarfile.SYMTYPE, text[2:]
                    member.size = 0 if text.startswith("->") else len(text)
                    archive.addfile(member, io.BytesIO(text.encode()))
            parts[name] = buffer.getvalue()
    packed = b"!<arch>\n"
    for name, content in parts.items():
        packed += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    path = folder / "libshop1_1-2_all.deb"
    path.write_bytes(packed)
    return path
