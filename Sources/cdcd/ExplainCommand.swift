import ArgumentParser
import Daemon
import Invalidation

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract:
      "Says which keys a change would delete, by which rule, and why not the others. Needs no server.",
    discussion: """
      Without --table it reads changes from standard input, one JSON object a line:
      {"table": "users", "op": "update", "old": {"id": 1, "email": "a"}, "new": {"id": 1, "email": "b"}}
      Write values as PostgreSQL prints them; true and false stand for t and f.
      """)

  @OptionGroup var file: ConfigurationOption

  @Option(help: "The table, as SQL names it.")
  var table: String?

  @Option(name: .customLong("op"), help: "insert, update, delete or truncate; else what the rows make.")
  var operation: String?

  @Option(help: "The row before the change, as a JSON object.")
  var old: String?

  @Option(help: "The row after the change, as a JSON object.")
  var new: String?

  func validate() throws {
    guard table == nil, operation != nil || old != nil || new != nil else { return }
    throw ValidationError("Name the table: --table users.")
  }

  func run() throws {
    let rules = try file.load().rules
    if let table {
      let change: DescribedChange
      do {
        change = try DescribedChange(table: table, operation: operation, old: old, new: new)
      } catch {
        throw ValidationError(error.description)
      }
      try print(ChangeReport(change, rules: rules))
      try requireRule(of: change.table, rules)
    } else {
      try explainLines(rules)
    }
  }

  /// A name that was misspelt looks like a table whose changes delete nothing.
  private func requireRule(of table: TableName, _ rules: [Rule]) throws {
    let tables = rules.compactMap { $0.table?.description }
    guard !tables.contains(table.description) else { return }
    let nearest = nearestName(to: table.description, among: tables).map { "; the nearest is \($0)" } ?? ""
    Output.error("error: no rule is about the table \(table)\(nearest).")
    throw ExitCode.failure
  }

  private func explainLines(_ rules: [Rule]) throws {
    var number = 0
    var hasFailed = false
    while let line = readLine() {
      number += 1
      guard line.contains(where: { !$0.isWhitespace }) else { continue }
      do {
        let report = ChangeReport(try DescribedChange(line: line), rules: rules)
        Swift.print("line \(number):\n\(report.text)")
        hasFailed = hasFailed || report.isIncomplete
      } catch {
        Output.error("line \(number): \(error)")
        hasFailed = true
      }
    }
    if hasFailed { throw ExitCode.failure }
  }

  private func print(_ report: ChangeReport) throws {
    Swift.print(report.text)
    if report.isIncomplete { throw ExitCode.failure }
  }
}
