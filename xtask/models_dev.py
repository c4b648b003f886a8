"""Prints the list of models.dev (MIT licence) that a binary of opencode (MIT licence) carries as JSON:
what `cargo xtask catalogue MAP --models-dev FILE` reads. <https://models.dev/api.json> is the same of
today. The list stands in the binary as a JavaScript literal, which Node makes JSON of.

    npm pack opencode-linux-x64 && tar xzf opencode-linux-x64-*.tgz
    python xtask/models_dev.py package/bin/opencode > models-dev.json
"""

import pathlib
import re
import subprocess
import sys

# `()=>({deepinfra:{id:"deepinfra",env:["…"],…}})`
BEGINS = re.compile(rb'\(\{(?:"[\w.-]+"|\w+):\{id:"[\w.-]+",env:\["')


def literal(code, start):
    """The object that starts there, up to its closing brace."""
    depth, quote, at = 0, None, start
    while True:
        byte = code[at : at + 1]
        if quote:
            if byte == b"\\":
                at += 1
            elif byte == quote:
                quote = None
        elif byte in (b'"', b"'", b"`"):
            quote = byte
        elif byte == b"{":
            depth += 1
        elif byte == b"}":
            depth -= 1
            if depth == 0:
                return code[start : at + 1]
        at += 1
        if at >= len(code):
            sys.exit("the list has no end")


code = pathlib.Path(sys.argv[1]).read_bytes()
found = [literal(code, match.end() - len(match.group()) + 1) for match in BEGINS.finditer(code)]
if not found:
    sys.exit("there is no list of models in this file")
program = b"process.stdout.write(JSON.stringify(" + max(found, key=len) + b", null, 1))"
sys.stdout.buffer.write(subprocess.run(["node"], input=program, capture_output=True, check=True).stdout)
