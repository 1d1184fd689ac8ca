#!/bin/sh
# Installs the programs that some tests use beside npm's packages (Debian, Ubuntu). Without them those tests are skipped.
set -u
apt-get update -qq
failed=0
for package in mosquitto mosquitto-clients python3-paho-mqtt awscli nats-server redis-server; do
  apt-get install -y -qq "$package" || failed=1 # One that is not to be had must not keep the others away.
done
exit $failed
