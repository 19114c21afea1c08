"""Writes src/asktell/_gen from proto/asktell/v1.

python scripts/generate.py           # needs the grpcio-tools of pyproject.toml, which sets the floor of protobuf
python scripts/generate.py --check   # any grpcio-tools: fails when the checked-in code describes another protocol
"""

import importlib.metadata
import importlib.util
import re
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

CLIENT = Path(__file__).resolve().parent.parent
PROTO = CLIENT.parent.parent / "proto"
OUT = CLIENT / "src" / "asktell" / "_gen"
FILES = sorted(p.relative_to(PROTO).as_posix() for p in (PROTO / "asktell" / "v1").glob("*.proto"))


def compile_protos(*options: str) -> None:
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    status = protoc.main(["protoc", f"-I{PROTO}", f"-I{well_known}", *options, *FILES])
    if status != 0:
        sys.exit(status)


def generate() -> None:
    pinned = re.search(r"grpcio-tools==([\d.]+)", (CLIENT / "pyproject.toml").read_text())
    assert pinned, "pyproject.toml pins grpcio-tools"
    if importlib.metadata.version("grpcio-tools") != pinned[1]:
        sys.exit(f"generate.py: install grpcio-tools=={pinned[1]}, so that the code runs with every protobuf we allow")
    with tempfile.TemporaryDirectory() as temporary:
        compile_protos(f"--python_out={temporary}", f"--pyi_out={temporary}")
        for source in sorted((Path(temporary) / "asktell" / "v1").iterdir()):
            text = source.read_text()
            # The package does not own the top-level name `asktell.v1`: its files import each other relatively.
            text = re.sub(r"^from asktell\.v1 import", "from . import", text, flags=re.MULTILINE)
            (OUT / source.name).write_text(text)


def check() -> None:
    """Compares descriptors rather than text, so that the version of the compiler does not matter."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "set.binpb"
        compile_protos(f"--descriptor_set_out={path}")
        wanted = {f.name: f for f in descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file}
    sys.path.insert(0, str(CLIENT / "src"))
    stale = []
    for name, file in wanted.items():
        present = descriptor_pb2.FileDescriptorProto()
        module = f"asktell._gen.{Path(name).stem}_pb2"
        if importlib.util.find_spec(module):
            importlib.import_module(module).DESCRIPTOR.CopyToProto(present)
        for descriptor in (present, file):
            for message in descriptor.message_type:
                strip_json_names(message)
        # As bytes: here the HTTP annotations are parsed, there they are unknown fields.
        if present.SerializeToString(deterministic=True) != file.SerializeToString(deterministic=True):
            stale.append(name)
    if stale:
        sys.exit(f"src/asktell/_gen is out of date ({', '.join(stale)}): run python scripts/generate.py")
    print(f"src/asktell/_gen is up to date ({len(wanted)} files)")


def strip_json_names(message: descriptor_pb2.DescriptorProto) -> None:
    """Compilers differ in whether they spell out the default JSON names."""
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        strip_json_names(nested)


if __name__ == "__main__":
    check() if "--check" in sys.argv[1:] else generate()
