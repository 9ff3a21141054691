import ArgumentParser
import Daemon
import Foundation

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Says how the running daemon is: ready or why not, lag, rates, rules, flushes, errors.",
    discussion: """
      It asks the address of http.listen. It ends with 0 when the daemon is ready, with 1 when it is not, and with 69 \
      when none answers.
      """)

  @OptionGroup var file: ConfigurationOption

  @Flag(help: "Print /status as it is.")
  var json = false

  private struct Readiness: Decodable {
    var ready: Bool
  }

  func run() async throws {
    let configuration = try file.load()
    let client = StatusClient(configuration.http)
    do {
      guard try await json ? printJSON(client) : printText(client, configuration.source) else {
        throw ExitCode.failure
      }
    } catch let failure as StatusClient.Failure {
      Output.error("\(failure)")
      throw failure.isDaemonAway ? ExitCode.serverIsAway : ExitCode.failure
    }
  }

  private func printJSON(_ client: StatusClient) async throws -> Bool {
    let text = try await client.status()
    print(text, terminator: "")
    return try JSONDecoder().decode(Readiness.self, from: Data(text.utf8)).ready
  }

  private func printText(_ client: StatusClient, _ source: Configuration.Source) async throws -> Bool {
    let environment = ProcessInfo.processInfo.environment
    let isColored = isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty
    let status = try await StatusText(asking: client, source: source, isColored: isColored)
    print(status.text)
    return status.isReady
  }
}
