import ArgumentParser
import Daemon

@main
struct CDCD: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "cdcd")
}
