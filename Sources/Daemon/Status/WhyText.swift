import FoundationEssentials

/// `cdcd why` for people: what `/why` says, in 80 columns.
package struct WhyText: Sendable {
  /// Whether a delete of the key is remembered.
  package let isFound: Bool
  /// Without an end of line.
  package let text: String

  /// Asks the running daemon.
  package init(asking client: StatusClient, key: String) async throws(StatusClient.Failure) {
    self.init(try await client.why(key))
  }

  init(_ report: WhyReport) {
    isFound = report.found
    var page = StatusLayout()
    if let deletion = report.deletion {
      let age = report.ageSeconds.map { " (\(StatusText.duration($0)) ago)" } ?? ""
      page.add(
        "\(report.key.printable) was last deleted at \(Self.time(deletion.onceMoreAt ?? deletion.at))\(age).")
      page.addBlank()
      Self.add(deletion, to: &page)
    } else {
      let bound = report.sinceStart ? "the start of cdcd" : "older ones are forgotten"
      page.add("\(report.key.printable) was not seen since \(Self.time(report.since)) (\(bound)).")
      page.addBlank()
      Self.addRules(report, to: &page)
    }
    for flush in report.flushes { page.add("flush", Self.sentence(flush)) }
    text = page.lines.joined(separator: "\n")
  }

  private static func add(_ deletion: DeletionReport, to page: inout StatusLayout) {
    page.add("rule", deletion.rule.printable)
    guard let xid = deletion.xid else {
      return page.add(
        "cause", "its second delete; the first one, and its transaction, are no longer remembered")
    }
    if let table = deletion.table {
      page.add("table", table.printable)
    } else {
      page.add("message", "the transaction named the key")
    }
    page.add("transaction", "xid \(xid)" + (deletion.lsn.map { ", committed at \($0)" } ?? ""))
    let took =
      deletion.milliseconds.map { "; \(StatusText.decimal($0)) ms later the key was out of Redis" } ?? ""
    if let committed = deletion.committedAt { page.add("commit", time(committed) + took) }
    if let written = deletion.writtenAt { page.add("written", "to the outbox at \(time(written))\(took)") }
    if deletion.replayed == true {
      page.add("again", "Redis had lost an earlier delete of the same change, which came sooner")
    }
    if let again = deletion.onceMoreAt {
      page.add("once more", "at \(time(again)), for redelete_after or read replicas")
    }
  }

  private static func addRules(_ report: WhyReport, to page: inout StatusLayout) {
    guard report.rules.isEmpty else {
      page.add("rules", report.rules.map(\.printable).joined(separator: ", ") + " may give such a key")
      page.add("", "cdcd tail shows changes as they come, and why a rule gives no key of one")
      return
    }
    page.add("rules", "no rule gives such a key")
    guard let nearest = report.nearest else { return }
    page.add("", "the nearest is \(nearest.template.printable) of rule \(nearest.rule.printable)")
  }

  private static func sentence(_ flush: WhyReport.Flush) -> String {
    let when = flush.endedAt.map { "was flushed until \(time($0))" } ?? "is being flushed"
    return "rule \(flush.rule.printable) \(when), which deletes such keys: \(flush.explanation)"
  }

  /// `2026-11-25 07:26:03.123 UTC`, of a time as the pages write it.
  private static func time(_ text: String) -> String {
    text.replacing("T", with: " ").replacing("Z", with: " UTC")
  }
}
