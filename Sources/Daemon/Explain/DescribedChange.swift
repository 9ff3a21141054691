package import Invalidation

/// A change that somebody describes to `cdcd explain`.
package struct DescribedChange: Sendable {
  package struct Invalid: Error, Equatable, CustomStringConvertible {
    package var description: String

    package init(description: String) { self.description = description }
  }

  package typealias Row = [(String, String?)]

  package var table: TableName
  package var operation: Operations
  package var old: Row?
  package var new: Row?

  static let operationNames: KeyValuePairs<String, Operations> = [
    "insert": .insert, "update": .update, "delete": .delete, "truncate": .truncate,
  ]

  /// As `on:` names it.
  static func name(_ operation: Operations) -> String? {
    operationNames.first { $0.value == operation }?.key
  }

  /// `table` as SQL names it, `operation` as `on:` does, `old` and `new` as JSON objects. Without an operation
  /// it is the one that the rows make.
  package init(table: String, operation: String?, old: String?, new: String?) throws(Invalid) {
    let oldRow: JSONText? = if let old { try Self.parsed(old, "old") } else { nil }
    let newRow: JSONText? = if let new { try Self.parsed(new, "new") } else { nil }
    try self.init(table: table, operation: operation, old: oldRow, new: newRow)
  }

  /// One line of NDJSON: `{"table": "users", "op": "update", "old": {...}, "new": {...}}`.
  package init(line: String) throws(Invalid) {
    guard case .object(let members) = try Self.parsed(line, "the line") else {
      throw Invalid(
        description: "found no object, expected {\"table\": ..., \"op\": ..., \"old\": ..., \"new\": ...}")
    }
    var texts: [String: String] = [:]
    var rows: [String: JSONText] = [:]
    for member in members {
      switch (member.name, member.value) {
      case ("table", .string(let text)), ("op", .string(let text)): texts[member.name] = text
      case ("old", .null), ("new", .null): continue
      case ("old", let row), ("new", let row): rows[member.name] = row
      default: throw Self.unknownMember(member.name)
      }
    }
    guard let table = texts["table"] else { throw Invalid(description: "found no \"table\"") }
    try self.init(table: table, operation: texts["op"], old: rows["old"], new: rows["new"])
  }

  private static func unknownMember(_ name: String) -> Invalid {
    let known = ["table", "op", "old", "new"]
    guard !known.contains(name) else { return Invalid(description: "found \"\(name)\", which is not a text") }
    let nearest = nearestName(to: name, among: known).map { "; the nearest is \"\($0)\"" } ?? ""
    return Invalid(
      description:
        "found the unknown key \"\(name)\", expected one of \(known.joined(separator: ", "))\(nearest)")
  }

  private init(table: String, operation: String?, old: JSONText?, new: JSONText?) throws(Invalid) {
    do {
      self.table = try TableName(sql: table)
    } catch {
      throw Invalid(
        description: "table: found \(error.found), expected public.users, users or public.\"Order Items\"")
    }
    if let old { self.old = try Self.row(old, "old") }
    if let new { self.new = try Self.row(new, "new") }
    self.operation = try Self.operation(operation, hasOld: old != nil, hasNew: new != nil)
  }

  private static func operation(
    _ name: String?, hasOld: Bool, hasNew: Bool
  ) throws(Invalid) -> Operations {
    let made: Operations =
      switch (hasOld, hasNew) {
      case (true, true): .update
      case (true, false): .delete
      case (false, true): .insert
      case (false, false): .truncate
      }
    guard let name else {
      guard made != .truncate else { throw Invalid(description: "found neither an old nor a new row") }
      return made
    }
    guard let operation = operationNames.first(where: { $0.key == name })?.value else {
      let names = operationNames.map(\.key)
      let nearest = nearestName(to: name, among: names).map { "; the nearest is \"\($0)\"" } ?? ""
      throw Invalid(
        description: "op: found \"\(name)\", expected one of \(names.joined(separator: ", "))\(nearest)")
    }
    guard operation == made else {
      throw Invalid(
        description: "op: an insert has a new row, a delete an old one, an update both, a truncate none")
    }
    return operation
  }

  private static func parsed(_ text: String, _ part: String) throws(Invalid) -> JSONText {
    do {
      return try JSONText(parsing: text)
    } catch {
      throw Invalid(description: "\(part): \(error)")
    }
  }

  private static func row(_ value: JSONText, _ part: String) throws(Invalid) -> Row {
    guard case .object(let members) = value else {
      throw Invalid(description: "\(part): expected an object such as {\"id\": 1}")
    }
    var row: Row = []
    for member in members {
      switch member.value {
      case .null: row.append((member.name, nil))
      case .boolean(let isTrue): row.append((member.name, isTrue ? "t" : "f"))
      case .number(let text), .string(let text): row.append((member.name, text))
      case .array, .object:
        throw Invalid(description: "\(part): write \"\(member.name)\" as PostgreSQL prints it, in quotes")
      }
    }
    return row
  }
}
