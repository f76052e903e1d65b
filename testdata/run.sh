#!/bin/sh
# What `make run` does: start the daemon with its embedded server, publish the sample log, show what came of it, and
# stay until Ctrl-C. It needs bin/faultd. The daemon's FAULTD_ variables count.
set -eu
cd "$(dirname "$0")/.."

http=${FAULTD_HTTP_ADDR:-127.0.0.1:8080}
nats=${FAULTD_NATS_URL:-nats://${FAULTD_NATS_ADDR:-127.0.0.1:4222}}
tenant=1234
server=52415800-8b69-11e0-9b19-734f0000ffff
export FAULTD_SERVER="http://$http"

# A terminal sends Ctrl-C to everything in front of it, so make would end with an error although all went well. With
# job control the script runs once more, in front by itself. It may only go there from the front, else the terminal
# would suspend it.
read -r _ _ _ _ group _ _ front _ <"/proc/$$/stat"
if [ "$group" = "$front" ] && [ "${1:-}" != alone ]; then
	set -m
	testdata/run.sh alone
	exit
fi

if bin/faultd list --limit 1 >/dev/null 2>&1; then
	echo "A daemon serves http://$http already: stop it, or set FAULTD_HTTP_ADDR and FAULTD_NATS_ADDR." >&2
	exit 1
fi

daemon=
stop() {
	trap '' INT TERM HUP
	code=${1:-0}
	if [ -n "$daemon" ] && kill -TERM "$daemon" 2>/dev/null; then
		ended=0
		wait "$daemon" || ended=$?
		[ "$code" -ne 0 ] || code=$ended
	fi
	exit "$code"
}
trap 'stop 0' INT TERM HUP
trap 'stop $?' EXIT

bin/faultd serve --log-format console --log-level "${FAULTD_LOG_LEVEL:-warn}" &
daemon=$!

# ready waits for the daemon unless that has ended.
ready() {
	tries=60
	until bin/faultd wait --timeout 1s "$@" 2>/dev/null; do
		kill -0 "$daemon" 2>/dev/null || { wait "$daemon"; exit 1; }
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { bin/faultd wait --timeout 1s "$@"; exit 1; }
	done
}

ready
echo "Publishing testdata/sample.jsonl:"
said=$(bin/faultd publish --nats-url "$nats" testdata/sample.jsonl)
echo "$said"
ready --sequence "$(echo "$said" | sed -n 's/.*up to sequence \([0-9]*\).*/\1/p')"

cat <<TEXT

Worth opening:
  http://$http/                                what there is
  http://$http/v1/faults                       everything that is in ERROR
  http://$http/v1/summary                      how many there are of each kind and status
  http://$http/compute/v2.1/$tenant/servers/detail
  http://$http/compute/v2.1/$tenant/servers/$server

The last one, as 'bin/faultd show server $server' tells it:

TEXT
bin/faultd show server "$server"
cat <<TEXT

The daemon runs until Ctrl-C. In another terminal: bin/faultd list --status ERROR, bin/faultd watch
TEXT
ended=0
wait "$daemon" || ended=$?
daemon=
exit "$ended"
