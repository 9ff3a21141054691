import ArgumentParser
import Daemon
import Foundation

/// `--config`, which every command takes.
struct ConfigurationOption: ParsableArguments {
  @Option(name: [.long, .short], help: "The rules file; also from the environment: CDCD_CONFIG.")
  var config: String?

  /// Exits with 64 when no file is named, and with 78 when the file is wrong.
  func load() throws -> Configuration {
    do {
      return try read()
    } catch let error as ConfigurationError {
      Output.error("\(error)")
      throw ExitCode.configurationIsWrong
    }
  }

  /// As `load`, but leaves it to the caller to tell what is wrong with the file.
  func read() throws -> Configuration {
    let environment = ProcessInfo.processInfo.environment
    guard let path = config ?? environment["CDCD_CONFIG"], !path.isEmpty else {
      throw ValidationError("Name the rules file: --config rules.yaml, or CDCD_CONFIG=rules.yaml.")
    }
    return try Configuration.load(path: path, environment: environment)
  }
}

extension ExitCode {
  /// EX_UNAVAILABLE of sysexits.h.
  static let serverIsAway = ExitCode(69)
  /// EX_CONFIG of sysexits.h.
  static let configurationIsWrong = ExitCode(78)
}
