# packages.sh - sourced by contrib/demo and contrib/check: installs what is missing, quietly, and nothing otherwise

# need_packages NAME...: on Debian, as root. Says what it installs; silent and quick when nothing is missing.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "missing packages: ${missing[*]}; run this as root, or install them first" >&2
        return 1
    fi
    echo "installing ${#missing[@]} packages: ${missing[*]}"
    local log
    log=$(mktemp)
    # Nothing that is installed may start a daemon here: a libvirtd of the host's own is not wanted.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy && made_policy=yes
    fi
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
        tail -20 "$log" >&2
        echo "installing packages failed; the whole log is $log" >&2
        [ -n "$made_policy" ] && rm -f $policy
        return 1
    fi
    [ -n "$made_policy" ] && rm -f $policy
    rm -f "$log"
}

BUILD_PACKAGES=(
    cmake gcc libc6-dev ninja-build pkg-config
    libvirt-dev libxml2-dev libjson-c-dev uuid-dev libsystemd-dev libmicrohttpd-dev libsqlite3-dev
    libinih-dev libcurl4-gnutls-dev libgnutls28-dev libnvme-dev libblkid-dev liburing-dev libcap-dev libnats-dev
)
GUEST_PACKAGES=(
    libvirt-daemon libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu
    qemu-system-x86 seabios ipxe-qemu qemu-utils busybox-static acpid cpio kmod zstd python3 python3-libvirt
)
TEST_PACKAGES=(
    libcmocka-dev python3-pytest clang-format cppcheck mandoc sqlite3 openssl systemd
    clang-14 libclang-rt-14-dev python3-cryptography python3-jsonschema python3-yaml nats-server
)
