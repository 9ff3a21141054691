package import Invalidation

/// What every rule of the file makes of a change, in words.
package struct ChangeReport: Sendable, Equatable {
  package struct Line: Sendable, Equatable, Encodable {
    package var rule: String
    /// The keys that go.
    package var keys: [String]
    /// Why there is no key, or what happens instead.
    package var reason: String?

    package init(rule: String, keys: [String], reason: String?) {
      self.rule = rule
      self.keys = keys
      self.reason = reason
    }
  }

  /// One for each rule, in the order of the file.
  package var lines: [Line]
  /// The rows do not have every column that a rule of the table reads, so that part of the answer is missing.
  package var isIncomplete: Bool

  package init(_ change: DescribedChange, rules: [Rule]) {
    let explanation = Explanation(
      rules: rules, table: change.table, operation: change.operation, old: change.old, new: change.new)
    let verdicts = Dictionary(
      explanation.verdicts.map { ($0.rule, $0) }, uniquingKeysWith: { first, _ in first })
    isIncomplete = false
    lines = []
    for (index, rule) in rules.enumerated() {
      var line = Line(rule: rule.name, keys: [], reason: Self.otherSubject(rule))
      if rule.table == change.table {
        let missing = Self.missingColumns(rule, change)
        if !missing.isEmpty, rule.operations.contains(change.operation) {
          isIncomplete = true
          line.reason = missing
        } else if let verdict = verdicts[index] {
          line = Line(verdict, rule, .rows(change.operation))
        }
      }
      lines.append(line)
    }
  }

  private static func otherSubject(_ rule: Rule) -> String {
    rule.table.map { "its table is \($0)" } ?? "it takes the keys that messages name, and no row's"
  }

  /// Of a change in the stream: what the rules of its table make of it.
  package init(_ change: StreamedChange, rules: [Rule]) {
    isIncomplete = false
    lines = change.verdicts.map { Line($0, rules[$0.rule], change.kind) }
  }

  private static func missingColumns(_ rule: Rule, _ change: DescribedChange) -> String {
    [("old", change.old), ("new", change.new)].compactMap { part, row -> String? in
      guard let row else { return nil }
      let missing = rule.columns.filter { column in !row.contains { $0.0 == column } }
      guard !missing.isEmpty else { return nil }
      return "the \(part) row lacks " + missing.map { "\"\($0)\"" }.joined(separator: ", ")
    }.joined(separator: "; ")
  }

  /// For people: a line for each key, and one for each rule that has none.
  package var text: String {
    lines.flatMap { line in
      line.keys.map { "delete \($0.printable)  (\(line.rule))" }
        + (line.reason.map { ["-      \(line.rule): \($0)"] } ?? [])
    }.joined(separator: "\n")
  }
}

extension ChangeReport.Line {
  fileprivate init(_ verdict: Explanation.Verdict, _ rule: Rule, _ kind: StreamedChange.Kind) {
    self.rule = rule.name
    keys = verdict.keys.map { String(decoding: $0, as: UTF8.self) }
    let operation: Operations? = if case .rows(let operation) = kind { operation } else { nil }
    let hasKeys = kind == .message || operation != nil && operation != .truncate
    reason =
      switch verdict.outcome {
      case .otherOperation: "its on: does not name \(operation.flatMap(DescribedChange.name) ?? "this")"
      case .unchanged: "nothing of its when_changed (\(rule.whenChanged.joined(separator: ", "))) changed"
      case .conditionNotMet: "its where: holds for no row of the change"
      case .incomplete where hasKeys: "\(Self.problem(verdict, rule)); \(Self.flush(rule))"
      case .rendered where hasKeys: verdict.keys.isEmpty ? "a column of each of its keys is NULL" : nil
      case .rendered, .incomplete: Self.flush(rule)
      }
  }

  private static func problem(_ verdict: Explanation.Verdict, _ rule: Rule) -> String {
    guard let problem = verdict.problem else {
      return "the row lacks a column that it reads, or a key would be longer than 1 MiB"
    }
    // The line names the rule already.
    let name = "rule \(rule.name): "
    return problem.hasPrefix(name) ? String(problem.dropFirst(name.count)) : problem
  }

  /// Without keys of rows the rule's patterns are flushed.
  private static func flush(_ rule: Rule) -> String {
    let patterns = rule.flushPatterns.map { String(decoding: $0, as: UTF8.self) }
    guard !patterns.isEmpty else { return "its keys have no common beginning to flush by: on_gap decides" }
    return "every key that matches \(patterns.joined(separator: ", ")) is flushed"
  }
}

extension String {
  /// The text as it is, or in quotes with escapes where it would disturb a terminal.
  var printable: String {
    let isPlain = unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) }
    return isPlain ? self : debugDescription
  }
}
