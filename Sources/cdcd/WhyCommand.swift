import ArgumentParser
import Daemon
import Foundation

struct WhyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "why",
    abstract: "Says what deleted a key last: transaction, table, rule, and how long it took.",
    discussion: """
      It asks the running daemon, at the address of http.listen, which remembers the last 20,000 keys or more since it \
      started. It ends with 0 when it knows a delete of the key, with 1 when it does not, and with 69 when none answers.
      """)

  @OptionGroup var file: ConfigurationOption

  @Argument(help: "The key as it is in Redis: user:7.")
  var key: String

  @Flag(help: "Print /why as it is.")
  var json = false

  private struct Answer: Decodable {
    var found: Bool
  }

  func validate() throws {
    if key.isEmpty { throw ValidationError("Name the key: cdcd why user:7.") }
    // What an argument that is no UTF-8 is decoded to.
    if key.unicodeScalars.contains("\u{FFFD}") {
      throw ValidationError(
        "The key has bytes that are no UTF-8, which arguments do not carry here: ask for /why?key=..., with %NN for such a byte."
      )
    }
  }

  func run() async throws {
    let client = StatusClient(try file.load().http)
    do {
      guard try await json ? printJSON(client) : printText(client) else { throw ExitCode.failure }
    } catch let failure as StatusClient.Failure {
      Output.error("\(failure)")
      throw failure.isDaemonAway ? ExitCode.serverIsAway : ExitCode.failure
    }
  }

  private func printJSON(_ client: StatusClient) async throws -> Bool {
    let text = try await client.whyText(key)
    print(text, terminator: "")
    return try JSONDecoder().decode(Answer.self, from: Data(text.utf8)).found
  }

  private func printText(_ client: StatusClient) async throws -> Bool {
    let why = try await WhyText(asking: client, key: key)
    print(why.text)
    return why.isFound
  }
}
