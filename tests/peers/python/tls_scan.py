"""Scans a TLS server with sslyze: what it takes, and where it is not what Mozilla calls "intermediate".

    tls_scan.py HOST PORT CA_FILE    prints one JSON object: {"scan": .., "mozilla": {..}}
"""

import json
import sys
import warnings
from pathlib import Path

# Of cryptography, about the CA certificates that come with sslyze.
warnings.filterwarnings("ignore")

from sslyze import (  # noqa: E402
    CertificateInfoExtraArgument,
    ScanCommandsExtraArguments,
    Scanner,
    ServerNetworkLocation,
    ServerScanRequest,
    ServerScanResultAsJson,
)
from sslyze.mozilla_tls_profile.tls_config_checker import (  # noqa: E402
    MozillaTlsConfiguration,
    ServerNotCompliantWithTlsConfiguration,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)


def main(host, port, ca_file):
    ca = CertificateInfoExtraArgument(custom_ca_file=Path(ca_file))
    scanner = Scanner()
    scanner.queue_scans(
        [
            ServerScanRequest(
                server_location=ServerNetworkLocation(host, int(port), ip_address="127.0.0.1"),
                scan_commands_extra_arguments=ScanCommandsExtraArguments(certificate_info=ca),
            )
        ]
    )
    [result] = scanner.get_results()
    profile = MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
    try:
        check_server_against_tls_configuration(result, profile)
        issues = {}
    except ServerNotCompliantWithTlsConfiguration as error:
        issues = error.issues
    scan = json.loads(ServerScanResultAsJson.model_validate(result).model_dump_json())
    print(json.dumps({"scan": scan["scan_result"], "mozilla": issues}))


if __name__ == "__main__":
    main(*sys.argv[1:])
