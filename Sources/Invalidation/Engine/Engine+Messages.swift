/// Messages by which an application names keys that no rule derives: logical messages with the prefix `cdcd`, and rows that
/// `cdcd.invalidate` (`sql/outbox.sql`) wrote. Each comes among the rows of its transaction, and its keys go the same way as
/// theirs.
extension Engine {
  /// The rule that takes them, and whose pattern covers what they should have named.
  private var messageRule: Int? { configuration.rules.firstIndex(where: \.takesMessages) }

  /// A logical message with these lines.
  mutating func keysNamed(by content: Span<UInt8>, isTransactional: Bool) {
    guard let rule = messageRule else { return refuse([.noRule]) }
    guard isTransactional else { return refuse([.notTransactional]) }
    var problems: [KeyMessage.Problem] = []
    KeyMessage.decode(lines: content, rule: UInt32(rule), into: &stream.scratch, &problems)
    sendOn(problems)
  }

  /// A row of the outbox with a list of texts.
  mutating func keysNamed(in row: OutboxRow) throws(DecodeError) {
    guard let rule = messageRule else { return refuse([.noRule]) }
    var problems: [KeyMessage.Problem] = []
    defer { sendOn(problems) }
    try KeyMessage.decode(list: row.content.span, rule: UInt32(rule), into: &stream.scratch, &problems)
  }

  /// The keys in `scratch`, and what became of the others.
  private mutating func sendOn(_ problems: [KeyMessage.Problem]) {
    distribute()
    refuse(problems)
  }

  /// Whoever sent it relies on a delete that nobody can make: what it may have meant is flushed.
  private mutating func refuse(_ problems: [KeyMessage.Problem]) {
    guard !problems.isEmpty else { return }
    statistics.malformedMessages += 1
    let rule = messageRule
    for problem in problems where stream.reported.insert(problem.rawValue).inserted {
      report(
        .error, "malformed_message", "a message that names keys was refused: " + problem.rawValue,
        rule: rule.map { configuration.rules[$0].name })
    }
    if let rule { openGap(.malformedMessage, rules: [rule]) }
  }
}
