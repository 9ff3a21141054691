/// Writes what the plugin wal2json writes, format version 2: an object for each Begin, change and Commit, of every table,
/// by name.
///
/// Source: wal2json 2.5, pg_decode_*_v2, and messages of it on PostgreSQL 15 (`Wal2jsonDecoderTests`).
enum Wal2jsonEncoder {
  static func begin(_ commit: Commit, time: Int64) -> String { boundary("B", commit, time) }
  static func commit(_ commit: Commit, time: Int64) -> String { boundary("C", commit, time) }

  private static func boundary(_ action: String, _ commit: Commit, _ time: Int64) -> String {
    let xid = UInt32(truncatingIfNeeded: commit.xid)
    return object([
      ("action", quoted(action)), ("xid", "\(xid)"), ("timestamp", quoted(timestamp(time))),
      ("lsn", quoted(position(commit.commitLSN))), ("nextlsn", quoted(position(commit.endLSN))),
    ])
  }

  static func message(prefix: String, _ content: String) -> String {
    object([
      ("action", quoted("M")), ("transactional", "true"), ("prefix", quoted(prefix)),
      ("content", quoted(content)),
    ])
  }

  /// Of a TRUNCATE an object for each table, the partitioned one before its partitions.
  static func change(_ streamed: StreamedChange) -> [String] {
    let change = streamed.change
    guard let table = streamed.tables.first else { return [] }
    switch change.kind {
    case .insert: return [object(head("I", table) + [("columns", new(change))])]
    case .update:
      let columns = [("columns", new(change)), ("identity", identity(change))]
      return [object(head("U", table) + columns)]
    case .delete: return [object(head("D", table) + [("identity", identity(change))])]
    case .truncate:
      let hasRoot = change.partition == nil && streamed.tables.contains { $0.partition != nil }
      let root = hasRoot ? [StreamedTable(table: .users)] : []
      return (root + streamed.tables).map { object(head("T", $0)) }
    case .alter, .message: return []
    }
  }

  private static func head(_ action: String, _ table: StreamedTable) -> [(String, String)] {
    [("action", quoted(action)), ("schema", quoted("public")), ("table", quoted(table.name))]
  }

  /// A TOAST value that was not touched is left out.
  private static func new(_ change: Change) -> String {
    guard let row = change.new else { return "[]" }
    let count = row.texts.count - (change.toastUnchanged ? 1 : 0)
    return list((0..<count).map { column($0, of: row, change.table) })
  }

  private static func identity(_ change: Change) -> String {
    // Without an old image the new row's key stands for it.
    guard let row = change.old ?? change.new else { return "[]" }
    let isWhole = change.table.identityIsFull && !change.isBare
    return list((0..<(isWhole ? row.texts.count : 1)).map { column($0, of: row, change.table) })
  }

  private static func column(_ index: Int, of row: Row, _ table: Table) -> String {
    let (name, type) = table.columns[index]
    let text = row.texts[index]
    let value: (type: String, text: String) =
      switch type {
      case 20: ("bigint", text ?? "null")
      case 1_700: ("numeric", text ?? "null")
      case 16: ("boolean", text.map { $0 == "t" ? "true" : "false" } ?? "null")
      default: ("text", text.map(quoted) ?? "null")
      }
    return object([("name", quoted(name)), ("type", quoted(value.type)), ("value", value.text)])
  }

  // MARK: JSON

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { quoted($0) + ":" + $1 }.joined(separator: ",") + "}"
  }

  private static func list(_ values: [String]) -> String { "[" + values.joined(separator: ",") + "]" }

  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  private static func position(_ lsn: UInt64) -> String {
    String(lsn >> 32, radix: 16, uppercase: true) + "/"
      + String(lsn & 0xFFFF_FFFF, radix: 16, uppercase: true)
  }

  /// Of microseconds since 2000-01-01; a day at a time, so that it shares nothing with the decoder.
  private static func timestamp(_ microseconds: Int64) -> String {
    var days = microseconds / 86_400_000_000
    let micros = microseconds % 86_400_000_000
    var year: Int64 = 2000
    func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && year % 100 != 0 || year % 400 == 0 }
    while days >= (isLeap(year) ? 366 : 365) {
      days -= isLeap(year) ? 366 : 365
      year += 1
    }
    let lengths: [Int64] = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var month = 0
    while days >= lengths[month] {
      days -= lengths[month]
      month += 1
    }
    func pad(_ number: Int64, _ width: Int = 2) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let second = micros / 1_000_000
    let time = [second / 3_600, second / 60 % 60, second % 60].map { pad($0) }.joined(separator: ":")
    let fraction = micros % 1_000_000 == 0 ? "" : "." + pad(micros % 1_000_000, 6)
    return "\(year)-\(pad(Int64(month) + 1))-\(pad(days + 1)) \(time)\(fraction)+00"
  }
}
