# Sourced by the buildspecs. `packages LOCK` puts uv and the Python packages of a lock file on PATH, and `pipeline` with them.
#
# What it installs is kept where builds keep their caches, in a folder named after what is in it: a later build that finds
# it there installs nothing, and Python need not compile the packages again.

UV_VERSION=0.13.9
KEPT="${XDG_CACHE_HOME:-$HOME/.cache}/pipeline"

packages() {
  environment="$KEPT/python-$({ python3 -VV && echo "$UV_VERSION" && cat "$1"; } | sha256sum | cut -c1-16)"
  mkdir -p "$KEPT"
  (
    flock 9 # builds that share a machine make it once
    [ -e "$environment/complete" ] || make_environment "$environment" "$1"
  ) 9>"$environment.lock" || return 1
  PATH="$environment/bin:$PATH"
  export PATH
}

make_environment() {
  rm -rf "$1" &&
    python3 -m venv --without-pip "$1" &&
    pip --python "$1/bin/python" install --quiet "uv==$UV_VERSION" &&
    "$1/bin/uv" pip install --quiet --python "$1/bin/python" --require-hashes -r "$2" &&
    touch "$1/complete"
}

pipeline() {
  python3 -m pipeline "$@"
}
