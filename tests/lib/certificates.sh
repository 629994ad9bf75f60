#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# certificates.sh DIR: makes two authorities (ca.pem, other-ca.pem) and a server's certificate for 127.0.0.1 and localhost
# (server.pem, server.key), signed by the first.
set -euo pipefail
cd "$1"

authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem"
}

{
	authority ca
	authority other-ca
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout server.key -out server.csr
	openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
		-extfile <(echo 'subjectAltName=IP:127.0.0.1,DNS:localhost') -out server.pem
} 2>certificates.log || { cat certificates.log >&2; exit 1; }
