#!/usr/bin/env bash
# A new user's first minutes: npm start shows its URLs, plays begin, the pages answer, Ctrl-C stops it; then the story of
# the README, by its own words.
set -euo pipefail
set -m # Each server is a process group, as in a terminal: Ctrl-C reaches npm and everything below it.
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill -INT -- "-$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
fail() { echo "acceptance: $1" >&2; cat "$folder"/*.log >&2; exit 1; }
waitFor() { # waitFor SECONDS FILE PATTERN
  for _ in $(seq $(($1 * 10))); do grep -q "$3" "$2" 2>/dev/null && return; sleep 0.1; done
  fail "no $3 in $2 within $1 s"
}

echo '-- npm start: URLs within 20 s, plays begin, Ctrl-C stops cleanly'
npm start --silent -- --data "$folder/one" --http-port 0 --mqtt-port 0 --json > "$folder/one.log" 2>&1 &
pids+=($!)
waitFor 20 "$folder/one.log" '"event":"started"'
waitFor 60 "$folder/one.log" '"event":"played"'
http=$(sed -n 's/.*"http":"\([^"]*\)".*/\1/p' "$folder/one.log" | head -1)
for page in / /docs /openapi.json /healthz; do curl -fsS -o /dev/null "$http$page" || fail "$page does not answer"; done
kill -INT -- "-${pids[0]}" # npm itself ends with 130, as any program at Ctrl-C; what counts is that the backend stops.
waitFor 10 "$folder/one.log" '"event":"stopped"'
wait || true
pids=()

if command -v mosquitto_sub >/dev/null; then
  echo '-- the story of the README'
  npm start --silent -- --data "$folder/two" --no-simulate --http-port 18080 --mqtt-port 11883 > "$folder/two.log" 2>&1 &
  pids+=($!)
  waitFor 20 "$folder/two.log" 'mqtt://'
  # The commands are the README's own; only ports, the data folder and the names of files differ.
  awk '/^```sh$/ { block++; next } /^```$/ { inside = 0 } block == 2 && !/^```/ { print } /^## What it promises/ { exit }' README.md |
    sed "s#127.0.0.1:8080#127.0.0.1:18080#g; s#--user alice#--user alice --data $folder/two#; s#mosquitto_sub -i#mosquitto_sub -p 11883 -i#; s#mosquitto_pub -i#mosquitto_pub -p 11883 -i#; s#data/speaker.json#$folder/speaker.json#g; s#data/requests.txt#$folder/requests.txt#g" > "$folder/story.sh"
  bash "$folder/story.sh" > "$folder/story.log" 2>&1 || true
  grep -q '"type":"played"' "$folder/story.log" || fail 'the story does not end with a play'
  grep -q '"type":"enter"' "$folder/story.log" || fail 'the story has no enter'
else
  echo '-- the story of the README: skipped: needs mosquitto_sub'
fi
echo 'acceptance: all well'
