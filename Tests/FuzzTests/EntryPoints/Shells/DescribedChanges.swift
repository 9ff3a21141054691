import Invalidation

@testable import Daemon

extension EntryPoint {
  /// A line on the standard input of `cdcd explain`.
  static let explain = EntryPoint(
    name: "explain",
    words: [
      #"{"table":"users","#, #""op":"update","#, #""old":{"#, #""new":{"#, #""id":1"#, #""email":"A""#,
      "null", "true",
      "-1.5e3", "\\ud83d\\ude00", "\\u0000", "[[[[",
    ]
  ) { bytes in
    do {
      let change = try DescribedChange(line: String(decoding: bytes, as: UTF8.self))
      let report = ChangeReport(change, rules: rules)
      try require(report.lines.count == rules.count, "a rule has no line")
      let isPrintable = report.text.utf8.allSatisfy { $0 >= 0x20 || $0 == UInt8(ascii: "\n") }
      try require(isPrintable, "control characters on a terminal: \(report.text.debugDescription)")
    } catch let error as DescribedChange.Invalid {
      try require(!error.description.isEmpty, "refused for no reason")
    }
  }

  private static let rules = ["user:{id}", "user:email:{email|lower|url}", "{name|sha256}"].map { text in
    Rule(
      name: text, table: TableName(schema: "public", name: "users"), whenChanged: ["id"],
      conditions: [Rule.Condition(column: "id", values: [nil, "1"])],
      templates: [try? KeyTemplate(parsing: text)].compactMap { $0 })
  }
}
