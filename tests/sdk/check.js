// Asks a running emulator with the official Node SDK (cos-nodejs-sdk-v5).
//
// Usage: node check.js ENDPOINT, such as http://127.0.0.1:9000, of `costag emulator --objects 25 --labels 4`.
// Exits with 0 if every answer is as the service gives it.

const assert = require('node:assert');
const COS = require('cos-nodejs-sdk-v5');

const [scheme, address] = process.argv[2].split('://');
const cos = new COS({
  SecretId: 'AKIDEMULATOR',
  SecretKey: 'emulator-secret-key',
  Protocol: `${scheme}:`,
  Domain: address,
  AutoSwitchHost: false,
});
const place = { Bucket: 'demo-1250000000', Region: 'ap-guangzhou' };

async function labels(query, key) {
  const answer = await cos.request({
    ...place, Method: 'GET', Key: key, Query: { 'ci-process': 'detect-label', ...query },
  });
  return answer.RecognitionResult;
}

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('a missing key was answered');
}

async function main() {
  const keys = [];
  let marker = '';
  for (;;) {
    const page = await cos.getBucket({ ...place, Marker: marker, MaxKeys: 10 });
    keys.push(...page.Contents.map((entry) => entry.Key));
    if (page.IsTruncated !== 'true') break;
    marker = page.NextMarker;
  }
  assert.strictEqual(new Set(keys).size, 25);
  console.log(`list: ${keys.length} keys in pages of 10`);

  const head = await cos.headObject({ ...place, Key: keys[0] });
  assert.match(head.ETag, /^"[0-9a-f]{32}"$/);
  console.log(`look-up: ETag ${head.ETag}`);

  const both = await labels({ scenes: 'web,camera' }, keys[0]);
  assert.ok(both.CameraLabels.Labels.length > 0 && both.WebLabels.Labels.length > 0);
  console.log('labels: of two scenes');
  const url = await labels({ scenes: 'camera', 'detect-url': 'http://example.com/a.jpg' }, '');
  assert.ok(url.CameraLabels.Labels.length > 0);
  console.log('labels: of a URL');

  const missing = { ...place, Key: 'missing.jpg' };
  assert.strictEqual((await refused(cos.headObject(missing))).statusCode, 404);
  const error = await refused(labels({ scenes: 'camera' }, 'missing.jpg'));
  assert.strictEqual(error.statusCode, 404);
  assert.strictEqual(error.code, 'NoSuchKey');
  console.log('missing key: 404');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
