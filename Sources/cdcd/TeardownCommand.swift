import ArgumentParser
import Daemon
import PostgresSource

struct TeardownCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "teardown",
    abstract:
      "Removes from PostgreSQL what setup has made: publication and slot, or the outbox, and the event triggers.",
    discussion: "cdcd must not run any more. Your tables, and what is cached in Redis, stay as they are.")

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Print the SQL and run none of it.")
  var dryRun = false

  func run() throws {
    let configuration = try file.load()
    let session = try CatalogSession.opened(for: configuration)
    do {
      let plan = try TeardownPlan.make(for: configuration, session: session)
      for finding in plan.findings { Output.error("\(finding)") }
      // Nothing is printed then, as with setup.
      guard !plan.findings.hasErrors else { throw ExitCode.failure }
      if dryRun {
        for step in plan.steps { print(step.statement) }
      } else {
        try plan.run(on: session) { print($0) }
        if plan.steps.isEmpty { print("Nothing is left.") }
      }
    } catch let error as CatalogError {
      Output.error(error.advice)
      throw ExitCode.failure
    }
  }
}
