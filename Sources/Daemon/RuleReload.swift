import Invalidation
import Logging

/// SIGHUP: the file is read again, and its rules take the place of those in force. A file that is wrong, or that the
/// daemon would not start with, changes nothing.
struct RuleReload: Sendable {
  private let read: @Sendable () throws -> Configuration
  private let loop: EventLoop
  private let board: StatusBoard
  private let manager: ServiceManager
  private let logger: Logger

  init(
    _ read: @escaping @Sendable () throws -> Configuration, into loop: EventLoop,
    board: StatusBoard, manager: ServiceManager, logger: Logger
  ) {
    self.read = read
    self.loop = loop
    self.board = board
    self.manager = manager
    self.logger = logger
  }

  /// Reads the file again for each request, one after the other; `configuration` is what the daemon runs with.
  func serve(_ requests: AsyncStream<Void>, from configuration: Configuration) async {
    var present = configuration
    for await _ in requests {
      logger.info("reading the rules file again", metadata: ["cause": "reloading"])
      manager.tellReloading()
      guard let next = await replacement(of: present) else {
        manager.tellReady()
        continue
      }
      present = next
      loop.replaceRules(with: present)
    }
  }

  /// What is to run from now on; nil when the rules in force have to stay.
  private func replacement(of present: Configuration) async -> Configuration? {
    let next: Configuration
    do {
      next = try read()
    } catch let error as ConfigurationError {
      for problem in error.problems { refuse("\(problem)") }
      return nil
    } catch {
      refuse("\(error)")
      return nil
    }
    var running = present
    running.rules = next.rules
    running.onGap = next.onGap
    let refusals = await refusals(of: running, after: present)
    for refusal in refusals { refuse("\(refusal.problem) \(refusal.remedy)") }
    guard refusals.isEmpty else { return nil }
    let others = next.sectionsThatDiffer(from: present)
    if !others.isEmpty {
      let names = others.joined(separator: ", ")
      tell(
        .warning, "reload_incomplete",
        "only the rules and on_gap are taken from the file; what else differs counts from the next start on: \(names)"
      )
    }
    return running
  }

  private func refusals(of running: Configuration, after present: Configuration) async -> [Finding] {
    let halting = running.rulesThatWouldHalt(after: present.rules)
    if !halting.isEmpty {
      return [
        Finding(
          "A rule that is new or gives other keys is a gap, and on_gap is halt: \(halting.joined(separator: ", ")).",
          remedy: "Stop cdcd, and start it again after `cdcd flush --close-gap`.")
      ]
    }
    return await CoverageGate.refusals(for: running, within: .seconds(5))
  }

  private func refuse(_ problem: String) {
    tell(.error, "reload_refused", "the rules in force stay: \(problem)")
  }

  /// Whoever mends a file and tries again reads every word of it, so that nothing is counted together.
  private func tell(_ severity: Notice.Severity, _ cause: String, _ message: String) {
    board.record(Notice(severity, cause, message))
    logger.log(level: severity == .error ? .error : .warning, "\(message)", metadata: ["cause": "\(cause)"])
  }
}

extension Configuration {
  /// Of what only a start can change.
  fileprivate func sectionsThatDiffer(from other: Configuration) -> [String] {
    var sections: [String] = []
    if source != other.source { sections.append("source") }
    if redis != other.redis { sections.append("redis") }
    if http != other.http { sections.append("http") }
    if log != other.log { sections.append("log") }
    return sections
  }

  /// The names of the rules that would open a gap, and halt on it.
  fileprivate func rulesThatWouldHalt(after present: [Rule]) -> [String] {
    let known = Set(present.map(\.fingerprint))
    return rules.filter { ($0.onGap ?? onGap) == .halt && !known.contains($0.fingerprint) }.map(\.name)
  }
}
