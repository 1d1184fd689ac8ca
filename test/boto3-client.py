"""What a program with boto3 does with a table; run by dynamodb-clients.test.ts. Usage: boto3-client.py URL"""
import sys
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.config import Config

url = sys.argv[1]
settings = dict(
    endpoint_url=url,
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="thing",
    config=Config(retries={"max_attempts": 1}),
)
resource = boto3.resource("dynamodb", **settings)
client = resource.meta.client

table = resource.create_table(
    TableName="readings",
    AttributeDefinitions=[
        {"AttributeName": "room", "AttributeType": "S"},
        {"AttributeName": "at", "AttributeType": "N"},
        {"AttributeName": "kind", "AttributeType": "S"},
    ],
    KeySchema=[{"AttributeName": "room", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    GlobalSecondaryIndexes=[
        {
            "IndexName": "byKind",
            "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["value"]},
        }
    ],
    BillingMode="PAY_PER_REQUEST",
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)
waiter = client.get_waiter("table_exists")
waiter.wait(TableName="readings", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
table.reload()
assert table.table_status == "ACTIVE", table.table_status
assert table.creation_date_time.tzinfo is not None

everything = {
    "room": "attic",
    "at": Decimal("1"),
    "long": Decimal("0.1234567890123456789012345678901234567"),
    "large": Decimal("9.9e36"),
    "raw": Binary(b"\x00\xff"),
    "texts": {"a", "b"},
    "numbers": {Decimal("1"), Decimal("2.5")},
    "raws": {Binary(b"\x01")},
    "list": [None, True, "x", {"deep": Decimal("-0.5")}],
    "empty": "",
}
table.put_item(Item=everything)
answer = table.get_item(Key={"room": "attic", "at": 1}, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
assert answer["Item"] == everything, answer["Item"]
assert answer["ConsumedCapacity"]["CapacityUnits"] == 1.0
assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200

with table.batch_writer(overwrite_by_pkeys=["room", "at"]) as batch:
    for at in range(120):
        batch.put_item(Item={"room": "hall", "at": at, "kind": "co2" if at % 2 else "temp", "value": at * 10})
    batch.put_item(Item={"room": "hall", "at": 119, "kind": "co2", "value": 7})

found = table.query(
    KeyConditionExpression=Key("room").eq("hall") & Key("at").between(10, 20),
    FilterExpression=Attr("value").gt(120) & ~Attr("kind").eq("temp") | Attr("value").is_in([100]),
    ProjectionExpression="#at, #v",
    ExpressionAttributeNames={"#at": "at", "#v": "value"},
    ScanIndexForward=False,
)
assert [int(item["at"]) for item in found["Items"]] == [19, 17, 15, 13, 10], found
assert found["ScannedCount"] == 11
by_kind = table.query(IndexName="byKind", KeyConditionExpression=Key("kind").eq("co2") & Key("at").gte(115))
assert [item["value"] for item in by_kind["Items"]] == [1150, 1170, 7], by_kind

pages = client.get_paginator("query").paginate(
    TableName="readings",
    KeyConditionExpression="room = :room",
    ExpressionAttributeValues={":room": "hall"},
    PaginationConfig={"PageSize": 50},
)
counts = [len(page["Items"]) for page in pages]
assert counts == [50, 50, 20], counts
total = sum(len(page["Items"]) for page in client.get_paginator("scan").paginate(TableName="readings", PaginationConfig={"PageSize": 33}))
assert total == 121, total

updated = table.update_item(
    Key={"room": "attic", "at": 1},
    UpdateExpression="SET #l[3].deep = #l[3].deep + :one, seen = list_append(if_not_exists(seen, :none), :more) ADD texts :texts REMOVE raws",
    ExpressionAttributeNames={"#l": "list"},
    ExpressionAttributeValues={":one": 1, ":none": [], ":more": ["x"], ":texts": {"c"}},
    ReturnValues="ALL_NEW",
)["Attributes"]
assert updated["list"][3]["deep"] == Decimal("0.5") and updated["seen"] == ["x"], updated
assert updated["texts"] == {"a", "b", "c"} and "raws" not in updated

try:
    table.put_item(Item={"room": "attic", "at": 1}, ConditionExpression=Attr("room").not_exists(), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    raise AssertionError("was not refused")
except client.exceptions.ConditionalCheckFailedException as error:
    assert error.response["Error"]["Message"] == "The conditional request failed"
    assert error.response["Item"]["empty"] == {"S": ""}, error.response["Item"]

plain = boto3.client("dynamodb", **settings)
try:
    plain.transact_write_items(
        TransactItems=[
            {"Delete": {"TableName": "readings", "Key": {"room": {"S": "hall"}, "at": {"N": "0"}}}},
            {
                "ConditionCheck": {
                    "TableName": "readings",
                    "Key": {"room": {"S": "hall"}, "at": {"N": "1"}},
                    "ConditionExpression": "#v > :v",
                    "ExpressionAttributeNames": {"#v": "value"},
                    "ExpressionAttributeValues": {":v": {"N": "1000"}},
                }
            },
        ]
    )
    raise AssertionError("was not cancelled")
except plain.exceptions.TransactionCanceledException as error:
    codes = [reason["Code"] for reason in error.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"], codes
try:
    plain.get_item(TableName="nowhere", Key={"id": {"S": "x"}})
    raise AssertionError("was not refused")
except plain.exceptions.ResourceNotFoundException as error:
    assert error.response["Error"]["Message"] == "Requested resource not found"

batch = resource.batch_get_item(RequestItems={"readings": {"Keys": [{"room": "hall", "at": at} for at in range(100)]}})
assert len(batch["Responses"]["readings"]) == 100 and batch["UnprocessedKeys"] == {}

streams = boto3.client("dynamodbstreams", **settings)
described = streams.describe_stream(StreamArn=table.latest_stream_arn)["StreamDescription"]
iterator = streams.get_shard_iterator(
    StreamArn=table.latest_stream_arn, ShardId=described["Shards"][0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
)["ShardIterator"]
records = streams.get_records(ShardIterator=iterator, Limit=3)["Records"]
assert [record["eventName"] for record in records] == ["INSERT"] * 3
assert records[0]["dynamodb"]["NewImage"]["raw"] == {"B": b"\x00\xff"}, records[0]
assert records[0]["dynamodb"]["ApproximateCreationDateTime"].year >= 2024

client.update_time_to_live(TableName="readings", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
ttl = client.describe_time_to_live(TableName="readings")["TimeToLiveDescription"]
assert ttl["AttributeName"] == "ends", ttl
table.delete()
client.get_waiter("table_not_exists").wait(TableName="readings", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
print("all as expected")
