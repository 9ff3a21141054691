import ArgumentParser
import Daemon

struct SetupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "setup",
    abstract:
      "Creates what is missing in PostgreSQL: the publication of the ruled tables and the slot, or the outbox.",
    discussion: "What is there stays as it is: it may run at any time, also after every change of the rules.")

  @OptionGroup var options: CatalogPlanOptions

  func run() throws { try options.carryOut(CatalogPlan.setup, nothing: "Nothing is missing.") }
}
