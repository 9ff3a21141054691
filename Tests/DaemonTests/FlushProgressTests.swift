import Invalidation
import Testing

@testable import Daemon

@Suite struct FlushTexts {
  private func makeSummary(_ deletedKeys: UInt64, _ deletedLeases: UInt64, after duration: Duration)
    -> FlushSummary
  {
    var summary = FlushSummary(rules: 2)
    summary.counts.foundKeys = 60_000
    summary.counts.foundLeases = 30_000
    summary.counts.deletedKeys = deletedKeys
    summary.counts.deletedLeases = deletedLeases
    summary.duration = duration
    return summary
  }

  @Test("a line of progress: found, deleted, the rate, and how long the rest takes at that pace")
  func line() {
    let summary = makeSummary(80_000, 1_000, after: .seconds(9))
    #expect(
      FlushProgress(summary, fraction: 0.45, isAtLeases: false).line
        == "45 %, values: 90000 found, 81000 deleted, 9000/s, 11 s left")
    let beginning = FlushProgress(summary, fraction: 0.005, isAtLeases: true)
    #expect(beginning.line == "0 %, leases: 90000 found, 81000 deleted")
    let counting = FlushProgress(makeSummary(0, 0, after: .seconds(9)), fraction: 0.9, isAtLeases: false)
    #expect(counting.line == "90 %, values: 90000 found, 1 s left")
  }

  @Test("a bar never fills a terminal's line")
  func bar() {
    let progress = FlushProgress(
      makeSummary(80_000, 1_000, after: .seconds(9)), fraction: 0.45, isAtLeases: false)
    #expect(progress.bar(columns: 80).hasPrefix("[#########...........] 45 %, values: 90000 found"))
    for columns in [0, 1, 10, 79, 80] { #expect(progress.bar(columns: columns).count <= max(0, columns - 1)) }
  }

  @Test("the sums, with the nouns that fit")
  func sums() {
    #expect(
      makeSummary(200_000, 1, after: .milliseconds(10_900)).sentence
        == "Deleted 200000 keys and 1 lease of 2 rules in 10 s.")
    var summary = makeSummary(0, 0, after: .zero)
    summary.counts.foundKeys = 12_345_678_902
    summary.counts.foundLeases = 3
    summary.patterns = [
      .init(isLease: true, glob: "cdcd:l:{user:*}", found: 3),
      .init(isLease: false, glob: "user:*", found: 1),
      .init(isLease: false, glob: "user:*:mail", found: 12_345_678_901),
    ]
    #expect(
      summary.inventory == """
                 3 cdcd:l:{user:*}
                 1 user:*
        12345678901 user:*:mail
        12345678902 keys and 3 leases of 2 rules would be deleted.
        """)
    summary.counts.foundKeys -= 1
    #expect(
      summary.inventory.hasSuffix(
        "12345678901 keys and 3 leases of 2 rules would be deleted; one that several patterns cover is in the line of each."
      ))
  }

  @Test(
    "durations",
    arguments: [
      (Duration.zero, "0 ms"), (.milliseconds(850), "850 ms"), (.seconds(59.9), "59 s"),
      (.seconds(185), "3 min 5 s"), (.seconds(7_800), "2 h 10 min"),
    ])
  func durations(duration: Duration, text: String) { #expect(FlushSummary.text(duration) == text) }
}
