#!/usr/bin/env bash
# Builds the image with buildah where no container engine is at hand, and with --try runs it (see try_image.py).
#
#   deploy/build-without-engine.sh [--try]        as root, on Debian; again at will
#
# The base is Debian 12 with its own Python 3.11, laid out by debootstrap: a stand-in for python:3.11-slim, kept under
# that name in root's local image store, so that the Dockerfile is used as it is. Remove it with
# `buildah rmi localhost/python:3.11-slim` to have it made anew. The result is localhost/tidemark:latest: for trying
# the Dockerfile, not for shipping; `buildah rmi --prune` drops the layers that older builds left. pip's settings on this
# machine are lent to the build and stay out of the image.
set -euo pipefail
cd "$(dirname "$0")/.."

base=localhost/python:3.11-slim
image=localhost/tidemark:latest
packages=(buildah debootstrap ca-certificates)
try=no
if [[ ${1:-} == --try ]]; then
    try=yes
    packages+=(podman runc)
elif [[ $# -gt 0 ]]; then
    echo "usage: $0 [--try]" >&2
    exit 2
fi
if [[ $EUID -ne 0 ]]; then
    echo "$0: must run as root" >&2
    exit 1
fi

work=$(mktemp -d /var/tmp/tidemark-image.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT

install_packages() {
    if ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
        apt-get update --quiet=2
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${packages[@]}" >/dev/null
    fi
}

make_base() {
    local root=$work/root name container
    echo "Making the base (once; two minutes)"
    debootstrap --variant=minbase --include=ca-certificates,python3.11,python3.11-venv,python3-pip bookworm "$root" \
        >"$work/debootstrap.log" || { tail -n 20 "$work/debootstrap.log" >&2; return 1; }
    for name in python python3; do
        ln -s /usr/bin/python3.11 "$root/usr/local/bin/$name"
    done
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$root" / >/dev/null
    buildah commit --quiet --rm "$container" "$base" >/dev/null
}

# Where this machine's pip finds packages, and whom it trusts.
lend_pip_settings() {
    local name value
    echo '[global]'
    for name in index-url proxy timeout; do
        if value=$(python3 -m pip config get "global.$name" 2>/dev/null); then
            echo "$name = $value"
        fi
    done
    echo 'cert = /run/lent/ca-certificates.crt'
}

install_packages
buildah inspect --type image "$base" >/dev/null 2>&1 || make_base

mkdir "$work/lent"
lend_pip_settings >"$work/lent/pip.conf"
cp --dereference "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$work/lent/ca-certificates.crt"

echo "Building $image"
buildah build --quiet --isolation chroot --layers \
    --volume "$work/lent:/run/lent:ro" --volume "$work/lent/pip.conf:/etc/pip.conf:ro" --tag "$image" . >/dev/null
buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' --filter "reference=$image"

if [[ $try == yes ]]; then
    make --silent setup
    .venv/bin/python deploy/try_image.py "$image"
fi
