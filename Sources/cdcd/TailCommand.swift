import ArgumentParser
import Daemon
import Invalidation

struct TailCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tail",
    abstract: "Prints changes as they are committed, and which keys the rules derive from them.",
    discussion: """
      It reads a temporary slot of its own, and touches neither the daemon's nor Redis, so that it may run at any time. \
      Keys are shown, and no other values of rows. What `cdcd explain` says of a change that you describe, this says of \
      those that happen: of a change once it is committed, whose keys the daemon deletes once it is visible.
      """)

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "One JSON object a change, each in a line.")
  var json = false

  @Option(help: "Only what this rule makes of the changes of its table.")
  var rule: String?

  @Option(help: "Only changes of this table, or of its partitions; as SQL names it.")
  var table: String?

  @Option(name: [.long, .customShort("n")], help: "End after so many changes.")
  var count: Int?

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count is 1 or more.") }
  }

  func run() async throws {
    let configuration = try file.load()
    let filter = try filter(configuration.rules)
    do {
      try await Tail(configuration, filter: filter, json: json, count: count).run { Output.error($0) }
    } catch let failure as Tail.Failure {
      Output.error("\(failure)")
      throw failure.isServerAway ? ExitCode.serverIsAway : ExitCode.failure
    }
  }

  private func filter(_ rules: [Rule]) throws -> TailFilter {
    let names = rules.map(\.name)
    if let rule, !names.contains(rule) {
      let nearest = nearestName(to: rule, among: names).map { " The nearest is \($0)." } ?? ""
      throw ValidationError("--rule: there is no rule \(rule) in the file.\(nearest)")
    }
    guard let table else { return TailFilter(rule: rule) }
    let name: TableName
    do {
      name = try TableName(sql: table)
    } catch {
      throw ValidationError(
        "--table: found \(error.found), expected public.users, users or public.\"Order Items\"")
    }
    if let rule, !rules.contains(where: { $0.name == rule && $0.table == name }) {
      // A partition of the rule's table, it may be.
      Output.error(
        "The rule \(rule) does not name \(name): changes are shown where that is a partition of its table.")
    } else if !rules.contains(where: { $0.table == name }) {
      Output.error("No rule names \(name): its changes are shown if they are streamed at all.")
    }
    return TailFilter(rule: rule, table: name)
  }
}
