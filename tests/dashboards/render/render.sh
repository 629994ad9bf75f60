#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Draws a dashboard to a PNG with the panel code of Grafana itself and the answers of a real Prometheus. By hand: it installs
# 700 MB of npm packages, and needs Chromium.
#
# usage: render.sh DIR DASHBOARD.json PROMETHEUS-URL OUT.png [from=UNIX-TIME] [to=UNIX-TIME] [VARIABLE=VALUE...]
#        DIR is where the packages are installed and stay
set -eu

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 4 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
dir=$1
shift
mkdir -p "$dir"
cp "$here"/package.json "$here"/panels.jsx "$here"/scrollbars.js "$here"/draw.mjs "$dir"
if [ ! -e "$dir/node_modules/@grafana/ui" ]; then
	PUPPETEER_SKIP_DOWNLOAD=1 npm install --prefix "$dir" --ignore-scripts --legacy-peer-deps --no-audit --no-fund
fi
(cd "$dir" && node_modules/.bin/esbuild panels.jsx --bundle --outfile=bundle.js --format=iife --log-level=error \
	--loader:.svg=dataurl --loader:.woff2=dataurl --loader:.ttf=dataurl \
	'--define:process.env.NODE_ENV="production"' --define:global=window --alias:react-custom-scrollbars-2=./scrollbars.js)
exec node "$dir/draw.mjs" "$@"
