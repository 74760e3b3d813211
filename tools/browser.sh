#!/usr/bin/env bash
# Fetches from npm what the tests of the report use: a headless Chromium with the libraries it needs,
# and axe-core, which looks for faults of accessibility. Linux on x86-64 only.
#
#   tools/browser.sh FOLDER VENV     into FOLDER, with the npm of a virtual environment
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
folder=$(cd "$1" && pwd)
PATH=$(cd "$2/bin" && pwd):$PATH

if [[ $(uname -sm) != "Linux x86_64" ]]; then
  echo "$1: there is a browser for Linux on x86-64 only" >&2
  exit 1
fi
cp tests/browser/package.json tests/browser/package-lock.json tests/browser/unpack.mjs "$folder"
cd "$folder"
npm ci --ignore-scripts --no-audit --no-fund --silent
rm -rf unpacked && mkdir unpacked
TMPDIR=$folder/unpacked node unpack.mjs
rm -rf node_modules/@sparticuz/chromium/bin

# Without a font no text would be drawn; those of the machine come after the one that came along.
cat > unpacked/fonts.conf <<XML
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>$folder/unpacked/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>$folder/unpacked/cache</cachedir>
  <alias><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
</fontconfig>
XML
