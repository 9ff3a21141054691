import LeaseKeys

@testable import Invalidation

extension EntryPoint {
  /// A line with a key template, and the text of every column.
  static let keyTemplate = EntryPoint(
    name: "key-template",
    words: KeyFunction.allCases.map { "|\($0.rawValue)" } + ["{{", "}}", "{id}", "*", "\\"]
  ) { bytes in
    let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
    let template: KeyTemplate
    do throws(KeyTemplateError) {
      template = try KeyTemplate(parsing: String(decoding: bytes[..<end], as: UTF8.self))
    } catch {
      let length = String(decoding: bytes[..<end], as: UTF8.self).utf8.count
      return try require(0...length ~= error.offset, "\(error) is outside of the template")
    }
    try requirePattern(template, covers: Array(bytes[end...].dropFirst()))
  }

  /// A flush has to find every key that the stream could delete.
  private static func requirePattern(_ template: KeyTemplate, covers text: [UInt8]) throws {
    let table = TableName(schema: "public", name: "t")
    let columns = Set(template.columns)
    let explanation = Explanation(
      rules: [Rule(name: "r", table: table, templates: [template])], table: table, operation: .insert,
      old: nil, new: columns.map { ($0, String(decoding: text, as: UTF8.self)) })
    let keys = explanation.verdicts.flatMap(\.keys)
    try require(keys.count <= 1, "one row gave \(keys.count) keys")
    guard let key = keys.first, let pattern = template.flushPattern else { return }
    try require(Glob.matches(pattern, key), "the pattern \(pattern) does not cover the key \(key)")
    for pattern in LeaseKey.patterns(for: pattern) {
      let lease = LeaseKey.name(of: key)
      guard Glob.matches(pattern, lease) else { continue }
      return
    }
    throw Violation("no pattern covers the lease of the key \(key)")
  }
}
