"""Asks a running emulator with the official Python SDK (cos-python-sdk-v5).

Usage: check.py ENDPOINT, such as http://127.0.0.1:9000, of `costag emulator --objects 25 --labels 4`.
Exits with 0 if every answer is as the service gives it.
"""

import sys

from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosServiceError

BUCKET = "demo-1250000000"


def main(endpoint):
    scheme, address = endpoint.split("://")
    config = CosConfig(
        Region="ap-guangzhou",
        SecretId="AKIDEMULATOR",
        SecretKey="emulator-secret-key",
        Scheme=scheme,
        Domain=address,
    )
    client = CosS3Client(config, retry=0)

    keys = []
    marker = ""
    while True:
        page = client.list_objects(Bucket=BUCKET, Marker=marker, MaxKeys=10)
        keys += [entry["Key"] for entry in page["Contents"]]
        if page["IsTruncated"] != "true":
            break
        marker = page["NextMarker"]
    assert len(keys) == 25 and len(set(keys)) == 25, keys
    print(f"list: {len(keys)} keys in pages of 10")

    head = client.head_object(Bucket=BUCKET, Key=keys[0])
    assert head["ETag"].startswith('"') and int(head["Content-Length"]) > 0, head
    print(f"look-up: ETag {head['ETag']}, {head['Content-Length']} bytes")

    both = client.ci_image_detect_label(Bucket=BUCKET, Key=keys[0], Scenes="web,camera")
    assert both["CameraLabels"]["Labels"] and both["WebLabels"]["Labels"], both
    print("labels: of two scenes")
    url = client.ci_image_detect_label(
        Bucket=BUCKET, DetectUrl="http://example.com/a.jpg", Scenes="camera"
    )
    assert url["CameraLabels"]["Labels"], url
    print("labels: of a URL")

    for ask in (
        lambda: client.head_object(Bucket=BUCKET, Key="missing.jpg"),
        lambda: client.ci_image_detect_label(Bucket=BUCKET, Key="missing.jpg"),
    ):
        try:
            ask()
        except CosServiceError as error:
            assert error.get_status_code() == 404, error
            assert error.get_request_id(), error
        else:
            raise AssertionError("a missing key was answered")
    print("missing key: 404")


main(sys.argv[1])
