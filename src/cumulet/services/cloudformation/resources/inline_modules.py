"""What functions whose source stands in a template may import: how a custom resource's function answers.

AWS has the same modules there, and there alone.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-lambda-function-code-cfnresponsemodule.html
"""

_PYTHON = """\
import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    answer = {
        "Status": responseStatus,
        "Reason": reason or "See the details in CloudWatch Log Stream: " + context.log_stream_name,
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as response:
        print("Status code:", response.status)
"""
_NODEJS = """\
exports.SUCCESS = "SUCCESS";
exports.FAILED = "FAILED";
exports.send = function (event, context, responseStatus, responseData, physicalResourceId, noEcho) {
  const body = JSON.stringify({
    Status: responseStatus,
    Reason: "See the details in CloudWatch Log Stream: " + context.logStreamName,
    PhysicalResourceId: physicalResourceId || context.logStreamName,
    StackId: event.StackId,
    RequestId: event.RequestId,
    LogicalResourceId: event.LogicalResourceId,
    NoEcho: noEcho || false,
    Data: responseData,
  });
  const url = new URL(event.ResponseURL);
  const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
  const request = require(url.protocol.slice(0, -1)).request(url, { method: "PUT", headers }, (response) => {
    console.log("Status code: " + response.statusCode);
    response.resume();
    context.done();
  });
  request.on("error", (error) => {
    console.log("send(..) failed: " + error);
    context.done();
  });
  request.end(body);
};
"""
_MODULES = {
    "python": ("cfnresponse", "cfnresponse.py", _PYTHON),
    "nodejs": ("cfn-response", "node_modules/cfn-response/index.js", _NODEJS),
}


def modules_of(language: str, source: str) -> dict[str, str]:
    """Return what goes into an archive beside a source that names it, by file name."""
    name, file, text = _MODULES[language]
    return {file: text} if name in source else {}
