# shellcheck shell=bash
# expires CERTIFICATE - its end, in seconds since 1970
expires() {
	local end
	end=$(openssl x509 -in "$1" -noout -enddate)
	date -d "${end#notAfter=}" +%s
}
