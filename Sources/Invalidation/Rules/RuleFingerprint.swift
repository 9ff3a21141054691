import Crypto

extension Rule {
  /// Sixteen hexadecimal digits that change when the rule could give other keys than before. The name and
  /// `on_gap` are left out: they change no key.
  package var fingerprint: String {
    var text = ""
    func add(_ part: String) { text += String(part.utf8.count) + ":" + part }
    guard let table else {
      add("messages")
      return shortHash(text)
    }
    add(table.schema)
    add(table.name)
    add(String(operations.rawValue))
    add(String(whenChanged.count))
    whenChanged.forEach(add)
    add(String(conditions.count))
    for condition in conditions {
      add(condition.column)
      add(String(condition.values.count))
      for value in condition.values { add(value.map { "=" + $0 } ?? "null") }
    }
    templates.forEach { add($0.text) }
    return shortHash(text)
  }
}

/// Sixteen hexadecimal digits of the text's SHA-256.
func shortHash(_ text: String) -> String {
  String(decoding: KeyFunction.hexadecimal(SHA256.hash(data: Array(text.utf8)).prefix(8)), as: UTF8.self)
}

/// What the keys in Redis were made with: the rules, and the way their tables are published. It is stored beside the
/// watermark, so that the next look tells which rules changed, and whose changes may have been left out meanwhile.
struct RuleSetFingerprint: Equatable, Sendable {
  /// One for each rule, in the order of the rules.
  var rules: [String]
  /// One for each rule and the publication of its table, `rule-publication`.
  var entries: [String]
  /// One for the set of entries: the order of the rules does not matter.
  var whole: String

  /// `publication` is that of `SourceFacts`; the catalogue was not asked yet about the tables that are `unseen`.
  init(_ rules: [Rule], publication: [TableName: String], unseen: Set<TableName> = []) {
    self.rules = rules.map(\.fingerprint)
    entries = zip(rules, self.rules).map { rule, fingerprint in
      let isUnseen = rule.concerns(unseen)
      let published = rule.table.flatMap { publication[$0] } ?? ""
      return fingerprint + "-" + (isUnseen ? Self.unseen : shortHash(published))
    }
    whole = shortHash(entries.sorted().joined(separator: " "))
  }

  private static let unseen = "?"

  /// As it is stored: the watermark's `rules` that it belongs to, then the entries.
  var text: [UInt8] { Array(([whole] + entries).joined(separator: " ").utf8) }

  /// Why each rule's keys are not what they would be if it had been in force, as it is now, all the time.
  struct Differences: Equatable {
    /// New, or other keys than before.
    var changed: [Int] = []
    /// The same rule, but its table was published anew.
    var republished: [Int] = []
  }

  /// What differs from a stored text, which has to belong to the watermark whose `rules` are given: without it every
  /// rule counts as changed.
  func differences(from stored: [UInt8], of watermark: String) -> Differences {
    guard watermark != whole else { return Differences() }
    let known = String(decoding: stored, as: UTF8.self).split(separator: " ").map(String.init)
    guard known.first == watermark else { return Differences(changed: Array(rules.indices)) }
    return differences(from: known.dropFirst())
  }

  /// What differs from an earlier set of the same process.
  func differences(from earlier: RuleSetFingerprint) -> Differences {
    differences(from: earlier.entries[...])
  }

  private func differences(from known: ArraySlice<String>) -> Differences {
    var differences = Differences()
    for index in rules.indices where !known.contains(entries[index]) {
      if known.contains(rules[index] + "-" + Self.unseen) { continue }
      if known.contains(where: { $0.hasPrefix(rules[index] + "-") }) {
        differences.republished.append(index)
      } else {
        differences.changed.append(index)
      }
    }
    return differences
  }
}
