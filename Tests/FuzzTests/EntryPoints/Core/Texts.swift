import LeaseKeys

@testable import Invalidation

extension EntryPoint {
  /// The short texts that come from PostgreSQL, from Redis and from users: each input is read as all of them.
  static let texts = EntryPoint(
    name: "texts",
    words: [
      "cdcd1 system=", " timeline=", " crash=", " rules=", " replicas=-", " run=",
      " batch=18446744073709551615",
      " applied=FFFFFFFF/FFFFFFFF", " settled=0/0", " flush=-", "public.", "\"\"", "+00",
      "18446744073709551615",
      "\u{301}", "\u{0130}",
    ]
  ) { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    if let lsn = LSN(text) { try require(LSN(lsn.description) == lsn, "\(lsn) reads as another position") }
    _ = PostgresTimestamp.microseconds(bytes.span)
    if let snapshot = TransactionSnapshot(text) {
      for xid in [0, 3, UInt32.max, UInt32(truncatingIfNeeded: snapshot.xmax)] { _ = snapshot.sees(xid) }
    }
    if let watermark = Watermark(bytes) {
      try require(
        Watermark(watermark.text) != nil, "the watermark is no watermark once written: \(watermark)")
    }
    if let table = try? TableName(sql: text) {
      let again = try TableName(sql: table.quoted)
      try require(
        Array(again.name.utf8) == Array(table.name.utf8)
          && Array(again.schema.utf8) == Array(table.schema.utf8),
        "the quoted name \(table.quoted) reads as another table")
    }
    let key = LeaseKey.name(of: bytes)
    try require(!WatermarkKeys.isOwn(key), "the lease \(key) is no lease")
    _ = RuleSetFingerprint([], publication: [:]).differences(from: bytes, of: "0123456789abcdef")
    for function in KeyFunction.allCases { _ = function.apply(bytes) }
  }
}
