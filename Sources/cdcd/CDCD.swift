import ArgumentParser
import Daemon

@main
struct CDCD: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cdcd",
    abstract:
      "Deletes the cache keys in Redis of every row that a committed transaction changed in PostgreSQL.",
    version: Version.current,
    subcommands: [
      RunCommand.self, CheckCommand.self, SetupCommand.self, TeardownCommand.self, ExplainCommand.self,
      FlushCommand.self, StatusCommand.self, TailCommand.self, WhyCommand.self,
    ],
    defaultSubcommand: RunCommand.self)
}
