"""Files of published attacks that hide a call from scanners."""

import struct

import pytest
from hostile_files import torch_zip
from opcodes import (
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    MEMOIZE,
    NONE,
    POP,
    REDUCE,
    STACK_GLOBAL,
    SYSTEM,
    TUPLE1,
    TUPLE2,
    call,
    many,
    name,
    number,
    pickled,
    raw,
    text,
    wrapper,
)

FLOAT = b"F1.5\n"


BYTEARRAY8 = b"\x96" + struct.pack("<Q", 1) + b"x"


def binput(index):
    return b"q" + bytes([index])


def binget(index):
    return b"h" + bytes([index])


def chained(module, *attributes):
    """Build getattr(getattr(import_module(module), ...), ...), which hides the target's name."""
    body = call("importlib:import_module", text(module))
    for attribute in attributes:
        body = call("builtins:getattr", body, text(attribute))
    return body


# fmt: off
# family -> (source, [files])
FAMILIES = {
    "memo written by PUT and by MEMOIZE": ("mmaitre314/picklescan#14", [
        pickled(text("posix") + binput(0) + text("system") + binput(1)
                + text("torch._utils") + MEMOIZE + text("_rebuild_tensor_v2") + MEMOIZE
                + binget(0) + binget(1) + STACK_GLOBAL + many(text("true")) + REDUCE)]),
    "names read from the memo": ("mmaitre314/picklescan#22", [
        pickled(text("posix") + MEMOIZE + POP + text("system") + MEMOIZE + POP
                + binget(0) + binget(1) + STACK_GLOBAL + many(text("true")) + REDUCE)]),
    "memo index that was never set, after the call": ("mmaitre314/picklescan#52", [
        pickled(SYSTEM + POP + binget(9) + binget(8) + STACK_GLOBAL)]),
    "global whose name is not a string, after the call": ("mmaitre314/picklescan#52", [
        pickled(SYSTEM + POP + number(1) + number(2) + STACK_GLOBAL)]),
    "stream that breaks after the call": ("mmaitre314/picklescan#46", [
        pickled(SYSTEM)[:-1] + b"\xff", pickled(SYSTEM)[:-1] + b"\x8c\x40x"]),
    "modules of the standard library that run text": ("trailofbits/fickling#210", [
        pickled(call(key, text("1"))) for key in (
            "timeit:timeit", "profile:run", "cProfile:run", "trace:Trace.run", "pdb:run",
            "bdb:Bdb.run", "doctest:debug_script", "code:InteractiveInterpreter.runcode",
            "idlelib.pyshell:ModifiedInterpreter.runcode", "lib2to3.pgen2.grammar:Grammar.loads",
            "asyncio.unix_events:_UnixSubprocessTransport._start", "pty:spawn")]),
    "functions that lead to any other": ("mmaitre314/picklescan#66", [
        pickled(call(key, text("os.system"))) for key in (
            "pkgutil:resolve_name", "importlib:import_module", "operator:attrgetter",
            "operator:methodcaller", "_operator:attrgetter", "importlib.util:find_spec")]),
    "byte code": ("mmaitre314/picklescan#74", [
        pickled(call("marshal:loads", raw(b"N"))), pickled(call("types:FunctionType", NONE)),
        pickled(call("types:CodeType", NONE))]),
    "getattr, step by step": ("protectai/modelscan#331", [
        pickled(chained("builtins", "str", "join")), pickled(chained("os", "system"))]),
    "installers": ("github/advisory-database#8728", [
        pickled(call(key, text("x"))) for key in (
            "ensurepip:_run_pip", "pip:main", "pip._internal:main", "venv:main")]),
    "functions of numpy that run text": ("trailofbits/fickling#210", [
        pickled(call("numpy.f2py.crackfortran:getlincoef", text("1"), EMPTY_DICT)),
        pickled(call("numpy.testing._private.utils:runstring", text("1"), EMPTY_DICT))]),
    "functions that write or fetch": ("trailofbits/fickling#210", [
        pickled(call(key, text("x"))) for key in (
            "distutils.file_util:write_file", "_io:FileIO", "shutil:move",
            "ssl:get_server_certificate", "http.client:HTTPConnection", "smtplib:SMTP",
            "urllib.request:urlretrieve", "pandas.io.parsers.readers:read_csv")]),
    "wrapper of a function": ("trailofbits/fickling#210", [
        pickled(call("functools:partial", name("posix:system"), text("true")))]),
    "pickle in a pickle": ("protectai/modelscan#267", [
        pickled(call(key, raw(pickled(SYSTEM)))) for key in ("_pickle:loads", "pickle:loads")]),
    "commands run by libraries": ("protectai/modelscan#338", [
        pickled(call(key, text("true"))) for key in (
            "torch.utils.collect_env:run", "multiprocessing.util:spawnv_passfds",
            "mlflow.projects.backend.local:_run_entry_point")]),
    "attributes set on a function": ("protectai/modelscan#85", [
        pickled(name("numpy:prod") + NONE + EMPTY_DICT + TUPLE2 + BUILD)]),
    "builtins through a library": ("protectai/modelscan#330", [
        pickled(name("numpy:__builtins__")),
        pickled(call("numpy:size.__globals__.get", text("eval")))]),
    "old opcodes of calls": ("protectai/modelscan#52", [
        b"(S'true'\niposix\nsystem\n.",
        pickled(b"(" + name("posix:system") + text("true") + b"o")]),
    "another extension": ("protectai/modelscan#263", [b"cposix\nsystem\n(S'true'\ntR."]),
    "zip with a wrong checksum": ("protectai/modelscan#263", [torch_zip(crc=False)]),
    "call after the bytes of a joblib array": ("protectai/modelscan#356", [
        pickled(wrapper("i1", number(4) + TUPLE1) + b"\xff\xfe\xfd\xfc" + SYSTEM + TUPLE2)]),
    "nested pickle of joblib": ("joblib/joblib#1795", [
        pickled(wrapper("O8", number(1) + TUPLE1) + pickled(SYSTEM))]),
    "pickle that begins as a bzip2 file": ("promptfoo/modelaudit#1554", [
        b"BZ\0\0\0" + b"x" * 90 + SYSTEM + b"\x86."]),
    "unlisted modules of the standard library": ("trailofbits/fickling#240", [
        pickled(call(key, text("x"))) for key in (
            "uuid:_get_command_stdout", "_osx_support:_read_output",
            "_aix_support:_read_cmd_output", "telnetlib:Telnet", "pipes:Template.open",
            "_posixsubprocess:fork_exec", "site:addsitedir", "atexit:register", "socket:socket",
            "nturl2path:os.system", "webbrowser:open", "antigravity:geohash")]),
    "another interpreter, its result used": ("trailofbits/fickling#302", [
        pickled(EMPTY_LIST + call("_interpreters:create") + b"a"
                + call("_interpreters:run_string", number(1), text("1")) + b"a"),
        pickled(call("_xxsubinterpreters:create"))]),
    "builtins that a scanner ignores": ("trailofbits/fickling#195", [
        pickled(call("builtins:eval", text("1"))), pickled(call("builtins:exec", text("1"))),
        pickled(call("builtins:__import__", text("os"))),
        pickled(call("builtins:open", text("x")))]),
    "opcodes that a scanner does not know": ("trailofbits/fickling#322", [
        EMPTY_DICT + FLOAT + b"0" + b"cposix\nsystem\n(S'true'\ntR.",
        pickled(BYTEARRAY8 + POP + SYSTEM, protocol=5)]),
    "second pickle": ("promptfoo/modelaudit#1644", [pickled(NONE) + pickled(SYSTEM)]),
}


CASES = [
    pytest.param(data, id=f"{family} {number}")
    for family, (_, files) in FAMILIES.items()
    for number, data in enumerate(files)
]
