# Sourced by the buildspecs that build images. `emulators` teaches this machine ARM64's programs, where a container asks for
# them: CodeBuild's x86 hosts have buildx, and no QEMU. Elsewhere it does nothing.
#
# The image is the one that EKS' own builds use: from AWS' public registry, where pulls need no log-in and Docker Hub's limits
# do not count. It is named by its version only: its digest was not to be had where this was written.
EMULATORS=public.ecr.aws/eks-distro-build-tooling/binfmt-misc:qemu-v7.0.0
REGISTERED=${REGISTERED:-/proc/sys/fs/binfmt_misc/qemu-aarch64}

emulators() {
  [ "$(uname -m)" = x86_64 ] || return 0
  grep -qsE "^[^#]*[\"']ARM64[\"']" containers/*/container.toml || return 0
  [ -e "$REGISTERED" ] && return 0
  docker run --rm --privileged "$EMULATORS" --install arm64 ||
    echo "There is no emulator of ARM64: what a RUN runs for it will end in 'exec format error'." >&2
}
