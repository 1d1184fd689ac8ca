#!/bin/sh
# Installs the programs that some tests use beside npm's packages (Debian, Ubuntu). Without them those tests are skipped.
set -eu
apt-get update -qq
apt-get install -y -qq mosquitto mosquitto-clients
