import ArgumentParser
import Daemon

struct TeardownCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "teardown",
    abstract:
      "Removes from PostgreSQL what setup has made: publication and slot, or the outbox, and the event triggers.",
    discussion: "cdcd must not run any more. Your tables, and what is cached in Redis, stay as they are.")

  @OptionGroup var options: CatalogPlanOptions

  func run() throws { try options.carryOut(CatalogPlan.teardown, nothing: "Nothing is left.") }
}
