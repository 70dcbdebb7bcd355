"""The build plan of a bundle: its Dockerfile, interpreted before anything is built.

A RUN instruction is supported if its text is what modelpack renders. Each of its commands becomes
a step that needs no container.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelpack import dockerfile
from modelpack.assembly.files import MTIME
from modelpack.dockerfile import BASE, Instruction, Stage, unsupported_instruction
from modelpack.engines.daemonless import config
from modelpack.types import Bundle, Environment

_LOCK = "requirements.lock"
_MOUNTED_LOCK = f"/tmp/{_LOCK}"  # noqa: S108 - a path in the stage
_WHEELHOUSE = "wheelhouse"
_PIP_CACHE = "/root/.cache/pip"
_SECRETS = ("pip_conf", "ca", "netrc")
_COPY_FLAGS = {"from", "chmod", "chown", "link"}
_ROOT_USER = {"0:0", "0", "root", "root:root"}
_ASSEMBLE = re.compile(r"python -m modelpack\.assembly\.([a-z]+)((?: [\w/.,:+=-]+)+)")
_UNUSED_MOUNTS = (
    *({"type": "secret", "id": name} for name in _SECRETS),
    {"type": "secret", "id": "ca", "mode": "0444"},
    {"type": "cache", "target": _PIP_CACHE},
)
_SYSTEM_DIRECTORIES = {
    "", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root",
    "run", "sbin", "srv", "sys", "tmp", "usr", "var",
}  # fmt: skip
_DEBIAN_STAGE = "image"  # directory of the wheelhouse
_REPLACED = {"wheels", "packages"}  # modules that need a container
_REMOVE_WHEELS = "rm -r /wheels"

# Commands of bundles of modelpack 0.1, which are read for one more release.
_OLD_WHEELS = re.compile(
    r"python -m pip download --requirement /tmp/requirements\.lock --require-hashes"
    r" --only-binary :all: --no-deps --dest /wheels"
    r"(?: --python-version ([\d.]+) --implementation cp)?"
    r" \$\(test ! -s /run/secrets/ca \|\| echo --cert /run/secrets/ca\)"
)
_OLD_NAMES = re.compile(r"--download-only ([\w.+:-]+(?: [\w.+:-]+)*); fi")
_OLD_PACKAGES = """\
RUN --mount=type=bind,from=base,target=/base \\
    --mount=type=bind,from=wheelhouse,target=/wheelhouse \\
    --mount=type=secret,id=ca,mode=0444 \\
    debs=/wheelhouse/debian/image; \\
    if ! test -d "$debs"; then \\
        debs=/debs; mkdir -p /debs/partial; \\
        set -- -o=APT::Architecture="$TARGETARCH" -o=APT::Architectures="$TARGETARCH" \\
            -o=Dir::State::status=/base/var/lib/dpkg/status -o=Dir::Cache::archives=/debs; \\
        test ! -s /run/secrets/ca || set -- "$@" -o=Acquire::https::CaInfo=/run/secrets/ca; \\
        apt-get "$@" update \\
        && apt-get "$@" install -y --no-install-recommends --download-only NAMES; \\
    fi \\
    && python -m modelpack.assembly.debian /debian /base "$debs" \\
    && rm -rf /debs /var/lib/apt/lists/*
"""


@dataclass(frozen=True)
class Copy:
    """A COPY instruction. Without a `stage`, the sources are in the build context."""

    instruction: Instruction
    sources: tuple[str, ...]
    target: str
    stage: str = ""
    mode: int | None = None


@dataclass(frozen=True)
class Configure:
    """An instruction that changes only the configuration of an image."""

    instruction: Instruction


@dataclass(frozen=True)
class Mount:
    """A bind mount of a RUN instruction.

    Attributes:
        source: Path in the build context or in `stage`; "" for all of the stage.
        stage: Name of the stage that contains `source`; "" for the build context.
    """

    target: str
    source: str
    stage: str = ""


@dataclass(frozen=True)
class Assemble:
    """Run `python -m modelpack.assembly.MODULE` with the interpreter of the base image."""

    module: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class FetchWheels:
    """Show the wheels of the lock file at /wheels. They are downloaded before the build."""


@dataclass(frozen=True)
class UnpackDebian:
    """Unpack the Debian packages of a stage. They are downloaded before the build."""

    stage: str
    names: tuple[str, ...]


Command = Assemble | FetchWheels | UnpackDebian


@dataclass(frozen=True)
class Run:
    """A RUN instruction."""

    instruction: Instruction
    mounts: tuple[Mount, ...]
    commands: tuple[Command, ...]

    @property
    def stages(self) -> list[str]:
        """The stages that are mounted, without the base image."""
        return [mount.stage for mount in self.mounts if mount.stage not in {"", BASE}]


Step = Copy | Configure | Run


@dataclass(frozen=True)
class BuildPlan:
    """All steps that an image needs.

    Attributes:
        is_on_base: Whether the image contains the layers of the base image.
        stages: Steps of each stage that is copied from or mounted.
        image: Steps of the image itself: only `Copy` and `Configure`.
        time: Date of the image in seconds since 1970.
    """

    base: str
    is_on_base: bool
    stages: Mapping[str, tuple[Step, ...]]
    image: tuple[Copy | Configure, ...]
    time: int

    def needs_wheels(self, copy: Copy) -> bool:
        """Return whether the files of `copy` come from wheels or Debian packages."""
        return bool(copy.stage) and self._stage_needs_wheels(copy.stage)

    def _stage_needs_wheels(self, name: str) -> bool:
        return any(
            self.needs_wheels(step)
            if isinstance(step, Copy)
            else any(isinstance(command, FetchWheels | UnpackDebian) for command in step.commands)
            or any(map(self._stage_needs_wheels, step.stages))
            for step in self.stages[name]
            if not isinstance(step, Configure)
        )


def read_plan(bundle: Bundle) -> BuildPlan:
    """Parse and interpret the Dockerfile of a bundle as a whole.

    Raises:
        BuildFailedError: An instruction needs a container; the error names its line.
    """
    arguments = {"BASE": "slim" if bundle.slim_base else "full"}
    path = bundle.directory / "Dockerfile"
    stages = dockerfile.read(path, arguments)
    return _Interpreter(stages, bundle.environment).plan(dockerfile.image_time(path) or MTIME)


class _Interpreter:
    def __init__(self, stages: Sequence[Stage], environment: Environment) -> None:
        self._stages = stages
        self._environment = environment
        self._indices = {stage.name: index for index, stage in enumerate(stages)}
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._base = dockerfile.external_image(stages)

    def plan(self, time: int) -> BuildPlan:
        chain = self._chain(len(self._stages) - 1)
        image = tuple(self._image_step(*item) for item in self._instructions(chain))
        is_on_base = self._stages[chain[0]].base != "scratch"
        return BuildPlan(self._base, is_on_base, self._steps, image, time)

    def _chain(self, index: int) -> list[int]:
        """Return the stage and those that it is built on, the lowest first."""
        below = self._indices.get(self._stages[index].base.lower(), index)
        return [*(self._chain(below) if below < index else []), index]

    def _instructions(self, chain: Sequence[int]) -> Iterator[tuple[Instruction, int]]:
        for index in chain:
            yield from ((instruction, index) for instruction in self._stages[index].instructions)

    def _image_step(self, instruction: Instruction, index: int) -> Copy | Configure:
        step = self._step(instruction, index)
        if isinstance(step, Run) or instruction.name == "ARG":
            raise unsupported_instruction(instruction, "only a container can create this layer")
        return step

    def _step(self, instruction: Instruction, index: int) -> Step:
        if instruction.name == "COPY":
            return self._copy(instruction, index)
        if instruction.name == "RUN":
            return self._run(instruction, index)
        if instruction.name in config.INSTRUCTIONS:
            return Configure(instruction)
        raise unsupported_instruction(instruction, f"{instruction.name} is not supported")

    def _use(self, instruction: Instruction, name: str, index: int) -> None:
        """Interpret the stage `name`, which an instruction of another stage reads."""
        used = self._indices.get(name, index)
        if used >= index:
            raise unsupported_instruction(instruction, f"no earlier stage is called {name!r}")
        if name not in self._steps:
            result: config.Config = {}
            steps = []
            for step in (self._step(*item) for item in self._instructions(self._chain(used))):
                if isinstance(step, Configure):
                    config.apply_instruction(result, step.instruction)
                steps.append(step)
            self._steps[name] = tuple(steps)

    def _copy(self, instruction: Instruction, index: int) -> Copy:
        if not {flag.partition("=")[0] for flag in instruction.flags} <= _COPY_FLAGS:
            raise unsupported_instruction(instruction, "it has an unknown option")
        if (instruction.flag("chown") or "0:0") not in _ROOT_USER:
            raise unsupported_instruction(instruction, "files of an image belong to root")
        *sources, target = instruction.array() or instruction.text.split()
        if not sources or any(set(name) & set("*?[$") for name in (*sources, target)):
            raise unsupported_instruction(instruction, "paths without wildcards are expected")
        if len(sources) > 1 and not target.endswith("/"):
            raise unsupported_instruction(instruction, "the target of several files ends with /")
        stage = (instruction.flag("from") or "").lower()
        if stage:
            self._use(instruction, stage, index)
            for source in sources:
                self._require_own_files(instruction, stage, source)
        return Copy(instruction, tuple(sources), target, stage, _mode(instruction))

    def _run(self, instruction: Instruction, index: int) -> Run:
        mounts = [self._mount(instruction, flag, index) for flag in instruction.flags]
        present = tuple(mount for mount in mounts if mount)
        return Run(instruction, present, tuple(self._commands(instruction, present)))

    def _mount(self, instruction: Instruction, flag: str, index: int) -> Mount | None:
        """Return None for a mount that no step needs: a cache, a secret, the wheelhouse."""
        name, _, value = flag.partition("=")
        parts = (part.partition("=") for part in value.split(","))
        options = {"type": "bind", **{key: text for key, _, text in parts}}
        if name != "mount":
            raise unsupported_instruction(instruction, f"the option --{name} is unknown")
        if options in _UNUSED_MOUNTS:
            return None
        if options == {"type": "bind", "from": _WHEELHOUSE, "target": f"/{_WHEELHOUSE}"}:
            self._require_unchanged(instruction, _WHEELHOUSE, "scratch")
            return None
        if options == {"type": "bind", "from": BASE, "target": f"/{BASE}"}:
            self._require_unchanged(instruction, BASE, self._base)
            return Mount(f"/{BASE}", "", BASE)
        known = {*options} - {"from"} == {"type", "source", "target"} and options["type"] == "bind"
        if not known:
            raise unsupported_instruction(instruction, f"the option --{flag} is not supported")
        stage = options.get("from", "").lower()
        if stage:
            self._use(instruction, stage, index)
            self._require_own_files(instruction, stage, options["source"])
        return Mount(options["target"], options["source"], stage)

    def _require_unchanged(self, instruction: Instruction, name: str, image: str) -> None:
        """Require that a stage adds nothing to `image`, as its files are taken from elsewhere."""
        stage = next((stage for stage in self._stages if stage.name == name), None)
        if stage is None or stage.base != image:
            raise unsupported_instruction(instruction, f"the stage {name!r} is not {image}")
        for step in stage.instructions:
            if step.name not in config.INSTRUCTIONS:
                raise unsupported_instruction(step, f"the stage {name!r} must add nothing")

    def _require_own_files(self, instruction: Instruction, stage: str, path: str) -> None:
        """Refuse a path that also contains files of the base image, which stages are without."""
        top = dockerfile.absolute_path(path, "/").partition("/")[0]
        lowest = self._stages[self._chain(self._indices[stage])[0]]
        if lowest.base != "scratch" and top in _SYSTEM_DIRECTORIES:
            raise unsupported_instruction(instruction, f"{path} also has files of the base image")

    def _commands(self, instruction: Instruction, mounts: Sequence[Mount]) -> Iterator[Command]:
        text = " ".join(instruction.text.split())
        if names := _old_packages(instruction, text):
            yield self._packages(instruction, names)
            return
        for command in text.split(" && "):
            if match := _OLD_WHEELS.fullmatch(command):
                yield self._wheels(instruction, mounts, match[1])
            elif match := _ASSEMBLE.fullmatch(command):
                yield self._assemble(instruction, mounts, match[1], match[2].split())
            elif command != _REMOVE_WHEELS:
                raise unsupported_instruction(instruction, "a command needs a container")

    def _assemble(
        self, instruction: Instruction, mounts: Sequence[Mount], module: str, arguments: list[str]
    ) -> Command:
        match module, arguments:
            case "wheels", ["/wheels", "--lock", lock, "--python", python] if lock == _MOUNTED_LOCK:
                return self._wheels(instruction, mounts, python)
            case "packages", ["--stage", "image", "--unpack", "/debian", "/base", *names] if (
                Mount(f"/{BASE}", "", BASE) in mounts
            ):
                return self._packages(instruction, tuple(names))
        if module in _REPLACED or not all(each.startswith("/") for each in arguments):
            raise unsupported_instruction(instruction, "a command needs a container")
        return Assemble(module, tuple(arguments))

    def _packages(self, instruction: Instruction, names: tuple[str, ...]) -> UnpackDebian:
        """Return the step that unpacks what is downloaded before the build."""
        if names != self._environment.system_packages:
            raise unsupported_instruction(instruction, "modelpack.json has other Debian packages")
        return UnpackDebian(_DEBIAN_STAGE, names)

    def _wheels(
        self, instruction: Instruction, mounts: Sequence[Mount], python: str | None
    ) -> FetchWheels:
        """Return the step that shows what is downloaded before the build."""
        if Mount(_MOUNTED_LOCK, _LOCK) not in mounts:
            raise unsupported_instruction(instruction, f"{_LOCK} is not its lock file")
        if python not in {None, self._environment.python}:
            reason = f"modelpack.json has Python {self._environment.python}"
            raise unsupported_instruction(instruction, reason)
        return FetchWheels()


def _mode(instruction: Instruction) -> int | None:
    text = instruction.flag("chmod")
    if text is None:
        return None
    if not (text.isdigit() and set(text) <= set("01234567") and int(text, 8) <= 0o777):
        raise unsupported_instruction(instruction, "an octal mode is expected")
    return int(text, 8)


def _old_packages(instruction: Instruction, text: str) -> tuple[str, ...]:
    """Return the packages of an instruction that is exactly that of modelpack 0.1; else ()."""
    match = _OLD_NAMES.search(text)
    if match is None:
        return ()
    expected = next(dockerfile.parse(_OLD_PACKAGES.replace("NAMES", match[1])))
    same = (instruction.flags, text) == (expected.flags, " ".join(expected.text.split()))
    return tuple(match[1].split()) if same else ()
