#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What is in an image, as SPDX 2.3 JSON: each Debian package with its version and source, and ebb itself.
#
# usage: tools/sbom.sh VERSION >sbom.spdx.json       SOURCE_DATE_EPOCH: when it was made
set -eu

version=$1
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)

# Names and versions of Debian packages have no character that JSON would escape.
dpkg-query -W -f '${Package} ${Version} ${Architecture} ${source:Package}\n' | awk -v version="$version" -v created="$created" '
	function package(id, name, version, locator, source)
	{
		printf "%s\n    {\"SPDXID\": \"SPDXRef-%s\", \"name\": \"%s\", \"versionInfo\": \"%s\", \"downloadLocation\": \"NOASSERTION\", ", \
			separator, id, name, version
		if (source)
			printf "\"sourceInfo\": \"built from %s\", ", source
		printf "\"filesAnalyzed\": false, \"licenseConcluded\": \"NOASSERTION\", \"licenseDeclared\": \"%s\", \"copyrightText\": \"NOASSERTION\", ", \
			(name == "ebb" ? "Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)" : "NOASSERTION")
		printf "\"externalRefs\": [{\"referenceCategory\": \"PACKAGE-MANAGER\", \"referenceType\": \"purl\", \"referenceLocator\": \"%s\"}]}", locator
		separator = ","
	}
	BEGIN {
		print "{\"spdxVersion\": \"SPDX-2.3\", \"dataLicense\": \"CC0-1.0\", \"SPDXID\": \"SPDXRef-DOCUMENT\","
		printf "  \"name\": \"ebb-%s\", \"documentNamespace\": \"https://spdx.org/spdxdocs/ebb-%s-%s\",\n", version, version, created
		printf "  \"creationInfo\": {\"created\": \"%s\", \"creators\": [\"Tool: ebb-sbom\"]},\n", created
		print "  \"documentDescribes\": [\"SPDXRef-ebb\"],"
		printf "  \"packages\": ["
		package("ebb", "ebb", version, "pkg:generic/ebb@" version, "")
	}
	{
		id = "deb-" $1
		gsub(/[^A-Za-z0-9.-]/, "-", id)
		ids[++count] = id
		package(id, $1, $2, "pkg:deb/debian/" $1 "@" $2 "?arch=" $3, $4)
	}
	END {
		printf "\n  ],\n  \"relationships\": ["
		for (i = 1; i <= count; i++)
			printf "%s\n    {\"spdxElementId\": \"SPDXRef-ebb\", \"relationshipType\": \"DEPENDS_ON\", \"relatedSpdxElement\": \"SPDXRef-%s\"}", \
				(i > 1 ? "," : ""), ids[i]
		print "\n  ]\n}"
	}'
