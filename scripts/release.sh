#!/bin/sh
# Prepares the release VERSION: checks the tree, sets version and date, dates its section of CHANGELOG.md,
# builds sdist and wheel, and tests the wheel in an empty environment. Prints the commands that publish it.
# The build runs in a copy of the commit, so files that git does not track, such as an old build/lib,
# cannot be part of it. If all of it succeeds, dist/, modelpack/_version.py and CHANGELOG.md change.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "release: $1" >&2
    exit 1
}

[ $# = 1 ] || fail "usage: scripts/release.sh VERSION"
version=$1
echo "$version" | grep -Eqx '[0-9]+(\.[0-9]+){2}((a|b|rc)[0-9]+)?' ||
    fail "$version is not a version such as 0.2.0 or 0.2.0rc1"
[ -z "$(git status --porcelain)" ] || fail "the tree has changes that are not committed"
[ -z "$(git tag --list "v$version")" ] || fail "the tag v$version already exists"
grep -Fqx "## $version, unreleased" CHANGELOG.md ||
    fail "CHANGELOG.md has no section '## $version, unreleased'"
[ ! -e "dist/modelpack-$version.tar.gz" ] || fail "dist/modelpack-$version.tar.gz already exists"
uv=$PWD/.venv/bin/uv
[ -x "$uv" ] || fail "there is no .venv; run: make setup"
root=$PWD

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/source" "$work/test"
git archive HEAD | tar -xf - -C "$work/source"
cd "$work/source"
today=$(date -u +%Y-%m-%d)
sed -i -e "s/^__version__ = .*/__version__ = \"$version\"/" -e "s/^RELEASE_DATE = .*/RELEASE_DATE = \"$today\"/" \
    modelpack/_version.py
sed -i "s/^## $version, unreleased\$/## $version, $today/" CHANGELOG.md

echo "release: building modelpack $version" >&2
# The wheel is built from the sdist, so the test of the wheel also tests what the sdist contains. The time of
# the commit makes two builds equal.
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
"$uv" build --quiet --no-progress --out-dir "$work/dist"
set -- "$work"/dist/*.whl
[ $# = 1 ] && [ -e "$1" ] || fail "the build made no wheel"

echo "release: testing the wheel in an empty environment" >&2
cp -R sample_models/iris "$work/test/iris"
cd "$work/test"
"$uv" venv --quiet --no-project --python "$root/.venv/bin/python" environment
"$uv" pip install --quiet --no-progress --python environment/bin/python "$1"
shown=$(env -u PYTHONPATH environment/bin/modelpack --version | head -n 1)
[ "$shown" = "modelpack, version $version" ] || fail "the wheel reports '$shown'"
run() { env -u PYTHONPATH environment/bin/modelpack "$@" --quiet >/dev/null; }
run inspect iris/model.joblib
run lock iris/model.joblib -o requirements.lock
run bundle iris/model.joblib -o bundle
[ -s requirements.lock ] && [ -s bundle/Dockerfile ] || fail "lock or bundle wrote no file"

cd "$root"
mkdir -p dist
cp "$work"/dist/*.whl "$work"/dist/*.tar.gz dist/
cp "$work/source/modelpack/_version.py" modelpack/_version.py
cp "$work/source/CHANGELOG.md" CHANGELOG.md

cat <<END
modelpack $version is in dist/. The next commands:
  make test
  git commit --all --message "Release $version"
  git tag --annotate "v$version" --message "modelpack $version"
  git push origin HEAD "v$version"
  .venv/bin/uv publish dist/modelpack-$version*
END
