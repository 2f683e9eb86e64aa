import { runtimeConformance } from "../runtime.conformance.ts";
import { withOciRuntime } from "./oci-test-bed.fixture.ts";

runtimeConformance("OciRuntime", withOciRuntime);
