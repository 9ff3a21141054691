import ArgumentParser
import Daemon

struct FlushCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flush",
    abstract: "Ends a halt: flushes what a gap may have left stale, and moves the watermark past it.",
    discussion: """
      cdcd must not run meanwhile. It waits until every transaction of before has ended, deletes the keys of the rules
      concerned, paced by redis.flush_rate, and ends with 0. Without --close-gap there is nothing yet.
      """)

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Flush, and write the new watermark, so that `cdcd run` goes on.")
  var closeGap = false

  @Option(help: "How long a server may be away, or the slot in use.")
  var timeout = "30s"

  func validate() throws {
    guard closeGap else {
      throw ValidationError("A flush without a gap is not built yet; there is: cdcd flush --close-gap.")
    }
    guard Duration(text: timeout) != nil else {
      throw ValidationError("--timeout is a number and its unit, as in 500ms, 30s or 5m.")
    }
  }

  func run() async throws {
    let configuration = try file.load()
    let refusals = await CoverageGate.refusals(for: configuration, within: .seconds(5))
    guard refusals.isEmpty else {
      for refusal in refusals { Output.error("\(refusal)") }
      throw ExitCode.configurationIsWrong
    }
    do {
      let closing = try GapClosing(configuration, patience: Duration(text: timeout) ?? .seconds(30))
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
