import FoundationEssentials
import Invalidation

/// How `cdcd tail` writes a change: for people as `cdcd explain` does, under a line for its transaction; or as JSON.
///
/// The line for the transaction comes with its first change, not at its end: a transaction is streamed after its commit,
/// so that its beginning tells position and time of the commit, and nothing of it has to be kept.
struct TailFormat {
  private let rules: [Rule]
  private let filter: TailFilter
  private let encoder: JSONEncoder?
  /// That of the last change.
  private var transaction: StreamedChange.Transaction?

  init(rules: [Rule], filter: TailFilter, json: Bool) {
    self.rules = rules
    self.filter = filter
    guard json else {
      encoder = nil
      return
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    self.encoder = encoder
  }

  /// One object of NDJSON. Fields that do not apply are left out.
  private struct Document: Encodable {
    let committedAt: String
    let lsn: String
    let xid: UInt32
    let op: String
    let command: String?
    let table: String?
    let rules: [ChangeReport.Line]
    let note: String?
  }

  /// Whether messages that name keys are wanted.
  var wantsMessages: Bool {
    filter.table == nil
      && (filter.rule == nil || rules.contains { $0.takesMessages && $0.name == filter.rule })
  }

  /// The lines of a change; nil when it is not wanted.
  mutating func lines(_ change: StreamedChange) throws -> String? {
    guard filter.wants(change, rules) else { return nil }
    var report = ChangeReport(change, rules: rules)
    if let rule = filter.rule { report.lines.removeAll { $0.rule != rule } }
    if let encoder { return String(decoding: try encoder.encode(document(change, report)), as: UTF8.self) }
    var lines = ["  \(Self.title(change))"]
    if !report.lines.isEmpty { lines += report.text.split(separator: "\n").map { "    " + $0 } }
    if let note = Self.note(change) { lines.append("    -      " + note) }
    if transaction != change.transaction {
      transaction = change.transaction
      lines.insert(Self.head(change.transaction), at: 0)
    }
    return lines.joined(separator: "\n")
  }

  private static func head(_ transaction: StreamedChange.Transaction) -> String {
    "\(postgresTimeText(transaction.commitTime))  \(transaction.position)  xid \(transaction.xid)"
  }

  private static func title(_ change: StreamedChange) -> String {
    let name = change.table?.description.printable ?? "perhaps any table"
    switch change.kind {
    case .message: return "message"
    case .definition(let command): return "\(command.printable): \(name)"
    case .rows(let operation):
      let roots = change.ruledTables.filter { $0 != change.table }.map(\.description.printable).sorted()
      return "\(DescribedChange.name(operation) ?? "change") \(name)"
        + (roots.isEmpty ? "" : ", a partition of \(roots.joined(separator: ", "))")
    }
  }

  private static func note(_ change: StreamedChange) -> String? {
    if change.mayHaveBeenPartition {
      return "the table is gone: if it was a partition of a ruled one, that one's rules are flushed"
    }
    guard change.verdicts.isEmpty else { return nil }
    return change.kind == .message ? "no rule takes messages" : "no rule names the table"
  }

  private func document(_ change: StreamedChange, _ report: ChangeReport) -> Document {
    var operation = "ddl"
    var command: String?
    switch change.kind {
    case .rows(let rows): operation = DescribedChange.name(rows) ?? "change"
    case .definition(let text): command = text
    case .message: operation = "message"
    }
    return Document(
      committedAt: postgresTimeText(change.transaction.commitTime),
      lsn: change.transaction.position.description, xid: change.transaction.xid, op: operation,
      command: command, table: change.table?.description, rules: report.lines, note: Self.note(change))
  }
}
