/** Names that labels and options have in swarmkit and libnetwork. */
export const PREDEFINED = "com.docker.swarm.predefined";
export const VXLAN_IDS = "com.docker.network.driver.overlay.vxlanid_list";
