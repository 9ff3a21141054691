# A new Debian 12 in a folder of its own, with the package sources and the proxy of this machine. Sourced by
# Tests/Package/check, in a mount namespace of its own.
# shellcheck shell=bash disable=SC2154

debian=

# Makes it in $debian. Only the network is shared with this machine.
make_debian() {
  local log=$server_folder/debootstrap.log mirror
  debian=$(mktemp -d "${TMPDIR:-/tmp}/cdcd-debian.XXXXXX")
  chmod 755 "$debian"
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sed -nE 's/ bookworm$//p' | head -n 1)
  echo "Making a Debian 12 in $debian"
  if ! debootstrap --variant=minbase bookworm "$debian" "${mirror:?no Debian 12 among the package sources of this machine}" \
    >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    return 1
  fi
  mount --types proc proc "$debian/proc"
  printf '#!/bin/sh\nexit 101\n' >"$debian/usr/sbin/policy-rc.d"
  chmod 755 "$debian/usr/sbin/policy-rc.d"
  apt-config dump Acquire | grep -iE '^Acquire::(http|https)::' >"$debian/etc/apt/apt.conf.d/99proxy" || true
  cp /etc/resolv.conf "$debian/etc/resolv.conf"
}

remove_debian() {
  if [[ -z $debian ]]; then return; fi
  if mountpoint --quiet "$debian/proc"; then umount "$debian/proc"; fi
  rm -rf --one-file-system -- "$debian"
}

# Runs a command in it as root.
inside() { chroot "$debian" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

# Every path in it but those that a package manager keeps for itself, for comparing.
paths_inside() {
  (cd "$debian" && find . -xdev \( -path ./proc -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./tmp \) -prune \
    -o -print | LC_ALL=C sort)
}
