import ArgumentParser
import Daemon
import Foundation

struct FlushCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flush",
    abstract: "Deletes the keys of all rules in Redis, or of some; with --close-gap, ends a halt.",
    discussion: """
      For a cache that is not trusted, or after a change that PostgreSQL's log does not tell of: run it when COMMIT has \
      returned. It deletes what the rules' patterns cover, leases first, paced by redis.flush_rate, and may run beside \
      cdcd. It asks Redis alone; with source.replicas it first waits until each has replayed what the primary holds.

      With --close-gap it also waits until every transaction of before has ended, and moves the watermark past the gap, so \
      that `cdcd run` goes on. cdcd must not run meanwhile.
      """)

  @OptionGroup var file: ConfigurationOption

  @Option(
    name: .customLong("rule"),
    help: ArgumentHelp("The keys of this rule, and of no other; may be repeated.", valueName: "name"))
  var rules: [String] = []

  @Flag(help: "Count what would go, and delete nothing.")
  var dryRun = false

  @Flag(help: "Flush, and write the new watermark, so that `cdcd run` goes on.")
  var closeGap = false

  @Option(help: "How long a server may be away, a read replica not move on, or the slot be in use.")
  var timeout = "30s"

  func validate() throws {
    guard Duration(text: timeout) != nil else {
      throw ValidationError("--timeout is a number and its unit, as in 500ms, 30s or 5m.")
    }
    guard closeGap else { return }
    guard rules.isEmpty else {
      throw ValidationError(
        "--close-gap moves the watermark, which all rules share, past the gap: it cannot leave some of them out."
      )
    }
    guard !dryRun else {
      throw ValidationError("What --close-gap deletes depends on the gap: there is no --dry-run of it.")
    }
  }

  func run() async throws {
    let configuration = try file.load()
    let patience = Duration(text: timeout) ?? .seconds(30)
    if closeGap {
      try await FlushCommand.closeGap(configuration, patience: patience)
    } else {
      try await flush(configuration, patience: patience)
    }
  }
}

extension FlushCommand {
  private func flush(_ configuration: Configuration, patience: Duration) async throws {
    let flush: KeyFlush
    do throws(FlushRefusal) {
      flush = try KeyFlush(configuration, rules: rules, deletes: !dryRun, patience: patience)
    } catch {
      if case .unknownRule = error { throw ValidationError(error.description) }
      Output.error(error.description)
      throw ExitCode.failure
    }
    let interruption = await Interruption()
    let (outcome, summary) = await FlushCommand.run(flush, interruption)
    switch outcome {
    case .done: print(dryRun ? summary.inventory : summary.sentence)
    case .interrupted(let fraction):
      Output.error("Interrupted at \(Int(fraction * 100)) %. \(remainder(summary))")
      throw ExitCode(interruption.exitStatus ?? 1)
    case .unreachable(let reason):
      Output.error("\(reason)\n\(remainder(summary))")
      throw ExitCode.serverIsAway
    case .refused(let findings):
      for finding in findings { Output.error("\(finding)") }
      Output.error(remainder(summary))
      throw ExitCode.failure
    }
  }

  /// What a flush that was not finished leaves.
  private func remainder(_ summary: FlushSummary) -> String {
    guard !dryRun else { return "Nothing was deleted." }
    return summary.deleted == 0
      ? "Nothing was deleted." : "Deleted \(summary.deletedText); the rest may be stale: run it again."
  }

  /// On a thread of its own, since it blocks: one of the concurrency pool may be the only one.
  private static func run(
    _ flush: KeyFlush, _ interruption: Interruption
  ) async -> (KeyFlush.Outcome, FlushSummary) {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        let display = ProgressDisplay()
        let (outcome, summary) = flush.run(isInterrupted: { interruption.exitStatus != nil }) { report in
          switch report {
          case .waiting(let what, let state): display.show(waitingFor: what, state)
          case .retrying(let reason): display.tell("\(reason); trying again")
          case .walking(let progress): display.show(progress.line, bar: progress.bar)
          }
        }
        display.clear()
        continuation.resume(returning: (outcome, summary))
      }
    }
  }

  private static func closeGap(_ configuration: Configuration, patience: Duration) async throws {
    let refusals = await CoverageGate.refusals(for: configuration, within: .seconds(5))
    guard refusals.isEmpty else {
      for refusal in refusals { Output.error("\(refusal)") }
      throw ExitCode.configurationIsWrong
    }
    do {
      let closing = try GapClosing(configuration, patience: patience)
      switch try await closing.run(report: { Output.error($0) }) {
      case .closed: Output.error("The gap is closed.")
      case .unreachable(let reasons):
        for reason in reasons { Output.error(reason) }
        let isInUse = reasons.contains {
          $0.contains("is active for PID") || $0.contains("another cdcd reads the outbox")
        }
        Output.error(
          "Nothing was changed, or the rest is flushed by the next start."
            + (isInUse ? " Is cdcd still running?" : ""))
        throw ExitCode.serverIsAway
      }
    } catch let error as GapClosing.Unflushable {
      Output.error("\(error)")
      throw ExitCode.failure
    }
  }
}
